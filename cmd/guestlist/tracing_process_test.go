package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// TestTracingProcess: a collector gets the spans of a flow, which name the trace
// that the records and the log lines name, and nothing that was sent.
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
	s.add("tracing: {endpoint: \"" + collector.URL + "/v1/traces\", sample: 1}\n")
	p := s.serve()
	resp, page := s.alice().play(s.authorizeLink())
	if status, answer := s.exchange(code(t, resp, page)); status != http.StatusOK {
		t.Fatalf("exchange: %d %s", status, answer)
	}
	records := s.audit()
	p.find(p.errs, `"route":"/token"`, "\n")
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
	id := hex.EncodeToString(spans["/token"].TraceId)
	issued := false
	for _, r := range records {
		issued = issued || r["event"] == "token.issued" && r["trace_id"] == id
	}
	if !issued {
		t.Errorf("no token.issued record names the trace %s", id)
	}
	if log, _ := p.errs.text(); !strings.Contains(log, `"trace_id":"`+id+`","span_id":"`+hex.EncodeToString(spans["/token"].SpanId)) {
		t.Error("no line of the log names the trace and the span of the exchange")
	}
	for _, secret := range []string{"/oauth/client.json", "alice", processVerifier, "127.0.0.1"} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the spans say %q", secret)
		}
	}
}
