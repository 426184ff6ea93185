package admin_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"guestlist/server/admin"
)

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(p))
	return len(p), nil
}

// TestEvents: each request has one event, with who asked, under the id of its
// answer; what it asked for stays in its record.
func TestEvents(t *testing.T) {
	log := &lines{}
	e := start(t, func(c *admin.Config) { c.Log = zerolog.New(log) })
	for _, test := range []struct {
		method, target, route string
		status                float64
		outcome               any
	}{
		{"GET", "/v1/clients?host=canary.example", "/v1/clients", 200, nil},
		{"GET", "/v1/clients/show?id=https://canary.example/c", "/v1/clients/show", 404, "refused"},
		{"POST", "/v1/clients", "/v1/clients", 405, "refused"},
		{"GET", "/v1/canary", "none", 404, "refused"},
	} {
		log.all = nil
		resp := e.do(test.method, test.target)
		resp.Body.Close()
		if len(log.all) != 1 {
			t.Fatalf("%s %s has the events %q, want one", test.method, test.target, log.all)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(log.all[0]), &got); err != nil {
			t.Fatal(err)
		}
		if got["event"] != "admin.request" || got["request_id"] != resp.Header.Get("X-Request-Id") || got["request_id"] == "" || got["method"] != test.method ||
			got["route"] != test.route || got["status"] != test.status || got["actor"] != me(t) || got["outcome"] != test.outcome || (got["detail"] != nil) != (test.outcome != nil) {
			t.Errorf("%s %s has the event %v", test.method, test.target, got)
		}
		if test.outcome == nil && strings.Contains(log.all[0], "canary") {
			t.Errorf("the event %s says what was asked for", log.all[0])
		}
	}
}
