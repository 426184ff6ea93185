package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// TestTracingProcess: a collector gets the spans of a flow, which name the trace
// and the span that records, exported or not, and log lines name, and nothing that was sent.
func TestTracingProcess(t *testing.T) {
	s := newSite(t)
	var mu sync.Mutex
	spans := map[string]*tracepb.Span{} // by name; the last one
	var all strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		var got tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("posted to %s as %q: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		all.Write(body)
		for _, r := range got.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, span := range scope.Spans {
					spans[span.Name] = span
				}
			}
		}
	}))
	defer collector.Close()
	h := &logHost{}
	s.exportTo(h)
	s.add("tracing: {endpoint: \"" + collector.URL + "/v1/traces\", sample: 1}\n")
	p := s.serve()
	resp, page := s.alice().play(s.authorizeLink())
	if status, answer := s.exchange(code(t, resp, page)); status != http.StatusOK {
		t.Fatalf("exchange: %d %s", status, answer)
	}
	records := s.audit()
	p.find(p.errs, `"route":"/token"`, "\n")
	eventually(t, "the receiver has the span of a token", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.ContainsFunc(h.traced, func(l string) bool { return strings.HasPrefix(l, "token.issued ") })
	})
	p.stop(syscall.SIGTERM)
	mu.Lock()
	defer mu.Unlock()
	for _, name := range []string{"/authorize", "/consent", "/token", "decision", "fetch", "commit"} {
		if spans[name] == nil {
			t.Fatalf("no span %q", name)
		}
	}
	for _, part := range []struct{ name, of string }{{"fetch", "/authorize"}, {"commit", "/token"}, {"decision", "/token"}} {
		if string(spans[part.name].ParentSpanId) != string(spans[part.of].SpanId) {
			t.Errorf("the last %s is no part of %s", part.name, part.of)
		}
	}
	id, span := hex.EncodeToString(spans["/token"].TraceId), hex.EncodeToString(spans["/token"].SpanId)
	var issued any
	for _, r := range records {
		if r["trace_id"] == id && r["span_id"] == span && r["event"] == "token.issued" {
			issued = r["request_id"]
		}
		if (r["trace_id"] == nil) != (r["span_id"] == nil) || (r["trace_id"] == nil) != (r["request_id"] == nil) {
			t.Errorf("of request, trace and span some are missing: %v", r)
		}
	}
	if issued == nil {
		t.Errorf("no token.issued record names the trace %s and the span %s", id, span)
	}
	if want := "token.issued " + id + " " + span; !slices.Contains(h.traced, want) {
		t.Errorf("the collector's log records are of %q, none is %q", h.traced, want)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte("{"+p.find(p.errs, `"request_id":"`+fmt.Sprint(issued)+`",`, "\n")), &line); err != nil || line["trace_id"] != id || line["span_id"] != span {
		t.Errorf("the log line of the exchange is %v (%v), want the trace %s and the span %s", line, err, id, span)
	}
	for _, secret := range []string{"/oauth/client.json", "alice", processVerifier, "127.0.0.1"} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the spans say %q", secret)
		}
	}
}
