package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"guestlist/broker"
)

// kind says in which form an endpoint answers errors.
type kind int

const (
	page  kind = iota // HTML for a person
	oauth             // JSON of RFC 6749 section 5.2
	plain             // status and one line
)

// handler is one endpoint.
type handler func(w http.ResponseWriter, r *http.Request, v *visit) error

// visit is what is known about one request beside the request itself; it
// becomes the one wide event.
type visit struct {
	id       string // X-Request-Id
	trace    Trace  // zero: not traced
	route    string
	kind     kind
	source   netip.Addr
	began    time.Time
	status   int
	bytes    int
	recorded bool   // a decision record tells of this request's refusal already
	client   string // client identifier, once it was parsed
	digest   string // of what was sent for one and is none
	subject  string // pseudonym of the person
	grant    string
	resource string   // name of the protected resource that asks
	decision string   // decision_id of the record that was made last
	phase    string   // of the last admission
	policy   []string // that won it
	from     string   // where its document came from
	outcome  string
	reason   broker.Reason
	err      error
}

// visit wraps an endpoint: request id, security headers, Host check, methods,
// one wide event, and the one place where errors are answered.
func (s *Server) visit(route string, k kind, methods []string, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := s.cfg.Now()
		v := &visit{id: broker.NewRequestID(began), route: route, kind: k, source: s.source(r), began: began}
		r = s.entered(r, v)
		cw := &counting{ResponseWriter: w, visit: v}
		header := cw.Header()
		header.Set("X-Request-Id", v.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		if strings.HasPrefix(s.cfg.Issuer, "https://") {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if s.crossOrigin(route) {
			allowOrigins(header)
		}
		defer s.event(r, v)
		defer s.survive(cw, r, v)
		if err := s.enter(r, cw, v, methods); err != nil {
			s.refuse(cw, r, v, err)
			return
		}
		if r.Method == http.MethodOptions {
			preflight(cw, methods)
			return
		}
		if err := h(cw, r, v); err != nil {
			s.refuse(cw, r, v, err)
		}
	})
}

// enter refuses what no endpoint takes.
func (s *Server) enter(r *http.Request, w http.ResponseWriter, v *visit, methods []string) error {
	if err := s.checkHost(r, v); err != nil {
		return err
	}
	if s.crossOrigin(v.route) {
		methods = append(slices.Clone(methods), http.MethodOptions)
	}
	if !slices.Contains(methods, r.Method) && !(r.Method == http.MethodHead && slices.Contains(methods, http.MethodGet)) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		return &statusError{status: http.StatusMethodNotAllowed, err: broker.Refuse(broker.ReasonRequestInvalid, "method %s", shown(r.Method))}
	}
	for _, name := range []string{"Authorization", "Content-Type"} {
		if n := len(r.Header.Values(name)); v.kind == oauth && n > 1 {
			return broker.Refuse(broker.ReasonRequestInvalid, "%d headers %s, at most one is read", n, name)
		}
	}
	return nil
}

// statusError is an error whose status does not follow from its reason.
type statusError struct {
	status int
	err    *broker.Error
}

// Error implements error.
func (e *statusError) Error() string { return e.err.Error() }

// Unwrap returns the refusal.
func (e *statusError) Unwrap() error { return e.err }

// survive turns a panic into an answer; the process goes on.
func (s *Server) survive(w *counting, r *http.Request, v *visit) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	v.err = broker.Refuse(broker.ReasonServerTrouble, "panic: %T", p)
	if v.status == 0 {
		s.refuse(w, r, v, v.err)
	}
}

// counting notes status and size of an answer.
type counting struct {
	http.ResponseWriter
	visit *visit
}

// WriteHeader implements http.ResponseWriter.
func (c *counting) WriteHeader(status int) {
	if c.visit.status == 0 {
		c.visit.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *counting) Write(p []byte) (int, error) {
	if c.visit.status == 0 {
		c.visit.status = http.StatusOK
	}
	n, err := c.ResponseWriter.Write(p)
	c.visit.bytes += n
	return n, err
}

// bounded cuts s to at most n bytes of valid UTF-8 on one line, in the
// direction that it is read in. The joiners that some scripts need stay.
func bounded(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Cf, r) && r != '\u200c' && r != '\u200d':
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "�"))
}
