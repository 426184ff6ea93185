package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
)

// ComponentState is one word on how a part of the program is.
type ComponentState string

// The states of a component.
const (
	ComponentUp       ComponentState = "up"       // nothing is known to be wrong
	ComponentDegraded ComponentState = "degraded" // something is, and clients are admitted all the same
	ComponentDown     ComponentState = "down"     // nobody can be admitted for it
)

// Component is a part of the program, as /readyz tells of it.
type Component struct {
	Name   string         `json:"name"` // store, policies, facts, keys, people, log, an exporter's …
	State  ComponentState `json:"state"`
	Reason string         `json:"reason,omitempty"` // what is wrong, and what is done meanwhile
	Lag    *uint64        `json:"lag,omitempty"`    // of an exporter: decision records that it has not handed on yet
}

// Readiness is the answer of /readyz to operators.
type Readiness struct {
	Ready      bool        `json:"ready"` // what the public /readyz says too
	Components []Component `json:"components"`
}

// WatchConfig is what a listener for monitoring needs. Metrics and Ready are
// required.
type WatchConfig struct {
	Metrics http.Handler                        // answers /metrics
	Ready   func(ctx context.Context) Readiness // answers /readyz
	// Loopback says that only this machine reaches the listener. Then a request
	// whose Host is a name other than localhost is refused: a page in a browser
	// of this machine might have had the name lead here.
	Loopback bool
}

// NewWatch returns the handler of a listener for monitoring: GET of /metrics,
// /livez and /readyz, and nothing that changes anything. It asks nobody who
// they are.
func NewWatch(cfg WatchConfig) (http.Handler, error) {
	if cfg.Metrics == nil || cfg.Ready == nil {
		return nil, errors.New("admin: a listener for monitoring needs metrics and readiness")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cfg.Loopback && !plainHost(r.Host) {
			http.Error(w, "this listener answers to its address and to localhost only", http.StatusMisdirectedRequest)
			return
		}
		if !watch(cfg.Metrics, cfg.Ready, w, r) {
			http.Error(w, "here are /metrics, /livez and /readyz", http.StatusNotFound)
		}
	}), nil
}

// plainHost reports whether a Host header is an address or localhost.
func plainHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}

// watch answers what monitoring asks, and reports whether the path is one of
// its own.
func watch(metrics http.Handler, ready func(context.Context) Readiness, w http.ResponseWriter, r *http.Request) bool {
	path := r.URL.Path
	if path != "/livez" && !(path == "/metrics" && metrics != nil) && !(path == "/readyz" && ready != nil) {
		return false
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	case path == "/metrics":
		metrics.ServeHTTP(w, r)
	case path == "/livez":
		w.Write([]byte("ok\n"))
	default:
		now := ready(r.Context())
		w.Header().Set("Content-Type", "application/json")
		if !now.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		e.Encode(now) // what cannot be sent has nobody left to be told
	}
	return true
}
