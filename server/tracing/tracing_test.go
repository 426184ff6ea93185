package tracing_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"guestlist/server/tracing"
)

// collector decodes what is posted.
type collector struct {
	mu    sync.Mutex
	spans []*tracepb.Span
	names []string // of services
	err   error    // answers every post
}

func (c *collector) post(_ context.Context, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	var got tracepb.TracesData
	if err := proto.Unmarshal(body, &got); err != nil {
		return err
	}
	for _, r := range got.ResourceSpans {
		for _, a := range r.Resource.Attributes {
			c.names = append(c.names, a.Key+"="+a.Value.GetStringValue())
		}
		for _, s := range r.ScopeSpans {
			c.spans = append(c.spans, s.Spans...)
		}
	}
	return nil
}

func (c *collector) find(t *testing.T, name string) *tracepb.Span {
	t.Helper()
	i := slices.IndexFunc(c.spans, func(s *tracepb.Span) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no span %q among %v", name, c.spans)
	}
	return c.spans[i]
}

func start(t testing.TB, c *collector, sample float64) *tracing.Tracing {
	t.Helper()
	tr, err := tracing.New(tracing.Config{Post: c.post, Sample: sample, Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close(context.Background()) })
	return tr
}

// The headers of W3C Trace Context.
const (
	theirTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + theirTrace + "-00f067aa0ba902b7-00"
)

func request() *http.Request {
	r := httptest.NewRequest("GET", "https://as.example/authorize?client_id=https://client.example/canary", nil)
	r.Header.Set("traceparent", traceparent)
	r.Header.Set("tracestate", "vendor=canary")
	return r
}

func TestSpans(t *testing.T) {
	c := &collector{}
	tr := start(t, c, 1)
	ctx, traceID, spanID := tr.Enter(request(), false)
	if len(traceID) != 32 || len(spanID) != 16 || traceID == theirTrace {
		t.Errorf("Enter() = %q, %q, want 32 and 16 digits of its own", traceID, spanID)
	}
	began := time.Now()
	tr.Part(ctx, tracing.Part{Name: "fetch", Began: began, Took: time.Second, Host: "client.example", Reason: "fetch_dns"})
	tr.Left(ctx, "/authorize", 503, "store_unavailable")
	if err := tr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	parent, part := c.find(t, "/authorize"), c.find(t, "fetch")
	if string(part.TraceId) != string(parent.TraceId) || string(part.ParentSpanId) != string(parent.SpanId) || len(parent.ParentSpanId) != 0 {
		t.Errorf("the fetch is no child of the request: %v, %v", part, parent)
	}
	if took := part.EndTimeUnixNano - part.StartTimeUnixNano; took != uint64(time.Second) || part.StartTimeUnixNano != uint64(began.UnixNano()) {
		t.Errorf("the fetch took %d ns from %d, want a second from %d", took, part.StartTimeUnixNano, began.UnixNano())
	}
	if parent.Status.Code != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("status of a request that was answered with 503 = %v", parent.Status)
	}
	if all := parent.String() + part.String(); strings.Contains(all, "canary") {
		t.Errorf("a span has what was sent: %s", all)
	}
	if want := []string{"service.name=guestlist", "service.version=v1"}; !slices.Equal(c.names[:2], want) {
		t.Errorf("resource = %q, want %q", c.names, want)
	}
}

// Only a trusted proxy says which trace a request belongs to, and nobody that
// it is traced: the flag in traceparent counts neither way.
func TestTraceparent(t *testing.T) {
	for _, test := range []struct {
		name, header string
		trusted      bool
		theirs       bool
	}{
		{"stranger", traceparent, false, false},
		{"proxy", traceparent, true, true},
		{"proxy, sampled", strings.TrimSuffix(traceparent, "00") + "01", true, true},
		{"proxy, malformed", "00-xyz", true, false},
		{"proxy, none", "", true, false},
	} {
		r := request()
		r.Header.Set("traceparent", test.header)
		if _, id, _ := start(t, &collector{}, 1).Enter(r, test.trusted); id == "" || (id == theirTrace) != test.theirs {
			t.Errorf("%s: trace id %q, want theirs %v", test.name, id, test.theirs)
		}
	}
	r := request()
	r.Header.Set("traceparent", strings.TrimSuffix(traceparent, "00")+"01")
	tr, traced := start(t, &collector{}, 0.25), 0
	for range 4000 {
		if _, id, _ := tr.Enter(r, true); id != "" {
			traced++
		}
	}
	if traced < 800 || traced > 1200 { // 7 standard deviations
		t.Errorf("%d of 4000 requests are traced at 0.25", traced)
	}
}

// What is not traced leaves nothing and costs no allocation.
func TestUntraced(t *testing.T) {
	c := &collector{}
	tr := start(t, c, 1e-18)
	r := request()
	ctx, id, _ := tr.Enter(r, true)
	if id != "" || ctx != r.Context() {
		t.Fatalf("Enter() = %q and another context, want nothing", id)
	}
	cost := testing.AllocsPerRun(100, func() {
		tr.Part(ctx, tracing.Part{Name: "fetch"})
		tr.Left(ctx, "/token", 200, "")
	})
	if cost != 0 {
		t.Errorf("%v allocations for a request that is not traced", cost)
	}
	tr.Close(t.Context())
	if len(c.spans) != 0 {
		t.Errorf("spans %v of a request that is not traced", c.spans)
	}
}

// A collector that is gone is told of once, and its coming back too.
func TestCollectorIsGone(t *testing.T) {
	c := &collector{err: errors.New("connection refused")}
	var told []error
	tr, err := tracing.New(tracing.Config{Post: c.post, Sample: 1, Failing: func(err error) { told = append(told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		ctx, _, _ := tr.Enter(request(), false)
		tr.Left(ctx, "/token", 200, "")
	}
	if err := tr.Close(t.Context()); err != nil || len(told) != 1 || told[0] == nil {
		t.Errorf("Close() = %v, told %v, want nil and one error", err, told)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, cfg := range []tracing.Config{{Sample: 1}, {Post: (&collector{}).post}, {Post: (&collector{}).post, Sample: 1.5}, {Post: (&collector{}).post, Sample: -1}} {
		if _, err := tracing.New(cfg); err == nil {
			t.Errorf("New with sample %v = nil, want an error", cfg.Sample)
		}
	}
}
