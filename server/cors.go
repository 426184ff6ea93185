package server

import (
	"net/http"
	"slices"
	"strings"
)

// crossOrigin reports whether scripts of any web site may read the answers of
// a route: those that a client in a browser needs, none of which looks at a
// cookie. Everything a person sees or decides stays with this origin, and
// introspection is for resource servers.
func (s *Server) crossOrigin(route string) bool {
	return slices.Contains([]string{s.base + "/token", s.base + "/revoke", s.base + "/jwks"}, route) ||
		strings.HasPrefix(strings.TrimPrefix(route, s.base), "/.well-known/")
}

// allowOrigins lets every origin read an answer, refusals included. Without
// Access-Control-Allow-Credentials browsers attach no cookie of ours, while a
// client may still send an Authorization header of its own. The answer is the
// same for every Origin, so caches need no Vary.
func allowOrigins(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, WWW-Authenticate")
}

// preflight answers what a browser asks before it sends a request with such
// headers (Fetch standard, CORS-preflight). Browsers keep it for two hours at
// most.
func preflight(w http.ResponseWriter, methods []string) {
	allowed := strings.Join(append(slices.Clone(methods), http.MethodOptions), ", ")
	h := w.Header()
	h.Set("Allow", allowed)
	h.Set("Access-Control-Allow-Methods", allowed)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, MCP-Protocol-Version")
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
}
