package server

import "github.com/gorilla/mux"

// Routes lists the endpoints that the router has, as they are mounted.
func Routes(s *Server) ([]string, error) {
	var out []string
	err := s.handler.(*mux.Router).Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		out = append(out, path)
		return err
	})
	return out, err
}
