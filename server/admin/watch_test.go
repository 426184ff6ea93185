package admin_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"guestlist/server/admin"
)

// watched is what monitoring finds in these tests.
var watched = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "guestlist_clients 7\n") })

// lag is how far an exporter is behind.
var lag = uint64(12)

// readyOr makes a readiness.
func readyOr(ready bool) func(context.Context) admin.Readiness {
	return func(context.Context) admin.Readiness {
		out := admin.Readiness{Ready: ready, Components: []admin.Component{
			{Name: "store", State: admin.ComponentUp}, {Name: "stdout", State: admin.ComponentUp, Lag: &lag},
		}}
		if !ready {
			out.Components[0].State, out.Components[0].Reason = admin.ComponentDown, "disk <full>"
		}
		return out
	}
}

func TestWatch(t *testing.T) {
	for _, test := range []struct {
		name, method, host, path string
		loopback, down           bool
		status                   int
		body                     string
	}{
		{"metrics", "GET", "127.0.0.1:9101", "/metrics", true, false, 200, "guestlist_clients 7"},
		{"metrics, IPv6", "GET", "[::1]:9101", "/metrics", true, false, 200, "guestlist_clients 7"},
		{"metrics, localhost", "GET", "localhost", "/metrics", true, false, 200, "guestlist_clients 7"},
		{"a name that leads here", "GET", "evil.example:9101", "/metrics", true, false, 421, "its address"},
		{"a name, not on loopback", "GET", "monitor.corp.example:9101", "/metrics", false, false, 200, "guestlist_clients 7"},
		{"alive", "GET", "127.0.0.1", "/livez", true, true, 200, "ok\n"},
		{"ready", "GET", "127.0.0.1", "/readyz", true, false, 200, `"lag": 12`},
		{"not ready", "GET", "127.0.0.1", "/readyz", true, true, 503, `"reason": "disk <full>"`},
		{"head", "HEAD", "127.0.0.1", "/metrics", true, false, 200, ""},
		{"post", "POST", "127.0.0.1", "/metrics", true, false, 405, ""},
		{"the admin API", "GET", "127.0.0.1", "/v1/status", true, false, 404, "/metrics, /livez and /readyz"},
		{"an act", "POST", "127.0.0.1", "/v1/policies/reload", true, false, 404, ""},
		{"below", "GET", "127.0.0.1", "/metrics/x", true, false, 404, ""},
	} {
		h, err := admin.NewWatch(admin.WatchConfig{Metrics: watched, Ready: readyOr(!test.down), Loopback: test.loopback})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Host = test.host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.body) {
			t.Errorf("%s: %d %q, want %d with %q", test.name, w.Code, w.Body, test.status, test.body)
		}
	}
	for _, cfg := range []admin.WatchConfig{{Metrics: watched}, {Ready: readyOr(true)}} {
		if _, err := admin.NewWatch(cfg); err == nil {
			t.Errorf("NewWatch(%+v) = nil, want an error", cfg)
		}
	}
}

// The socket answers monitoring too, and only to whom it answers at all.
func TestWatchOnTheSocket(t *testing.T) {
	e := start(t, func(c *admin.Config) { c.Metrics, c.Ready = watched, readyOr(false) })
	for path, want := range map[string]int{"/metrics": 200, "/livez": 200, "/readyz": 503, "/readyz/": 404} {
		resp := e.do("GET", path)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s = %d, want %d", path, resp.StatusCode, want)
		}
	}
	e = start(t, nil)
	for _, path := range []string{"/metrics", "/readyz"} {
		resp := e.do("GET", path)
		resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("GET %s of a server that has none = %d, want 404", path, resp.StatusCode)
		}
	}
	h, err := admin.New(admin.Config{
		Store: e.store, Flush: func(context.Context) error { return nil }, Now: time.Now, Metrics: watched,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("GET /metrics over another connection than the socket = %d, want 403", w.Code)
	}
}
