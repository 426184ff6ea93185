package server

import (
	"context"
	"errors"
	"net/http"
)

// livez says that the process answers.
func (s *Server) livez(w http.ResponseWriter, _ *http.Request, _ *visit) error {
	w.Write([]byte("ok\n"))
	return nil
}

// readyz says whether the next admission could be written; strangers are not
// told why not.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.Ready(r.Context()); err != nil {
		v.outcome = "not ready: " + bounded(err.Error(), 200)
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte("not ready\n"))
		return nil
	}
	w.Write([]byte("ok\n"))
	return nil
}

// Ready says why the server could not admit anybody now. After trouble it
// tries to write, so that readiness comes back without a restart.
func (s *Server) Ready(ctx context.Context) error {
	if s.cfg.Broker.Revision() == "" {
		return errors.New("no policy revision is active")
	}
	if s.cfg.Store.Healthy() != nil {
		if err := s.cfg.Store.Probe(ctx); err != nil {
			return err
		}
	}
	if s.cfg.Batch.Failure() != nil {
		return s.cfg.Batch.Flush(ctx)
	}
	return nil
}
