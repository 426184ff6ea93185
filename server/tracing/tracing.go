// Package tracing makes OpenTelemetry spans of requests, decisions, fetches and
// commits, and hands them to a collector as OTLP in protobuf. It is the only one
// that knows the OpenTelemetry SDK.
//
// A span has the endpoint, the status, reasons, and the host of a client
// identifier; no URL, no person, no address, nothing else that was sent. Who is
// traced is drawn here, by chance: no header makes a request a traced one.
package tracing

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config is what New needs. Post is required.
type Config struct {
	// Post hands one body, TracesData of OTLP in protobuf, to the collector. It
	// is called by one goroutine at a time and no request waits for it.
	Post func(ctx context.Context, body []byte) error
	// Failing is told of the first post that fails, and of nil when posts work
	// again; may be nil. Spans that could not be posted are lost.
	Failing func(err error)
	Sample  float64 // share of the requests that are traced, more than 0 and at most 1
	Version string  // of this program
}

// The bounds of what waits for the collector. What is beyond them is dropped.
const (
	maxSpans   = 4096
	batchEvery = 2 * time.Second
	postWithin = 10 * time.Second
)

// Tracing makes spans. It is safe for concurrent use.
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	below    uint64 // of a random number of 64 bits; a request under it is traced
}

// New checks cfg and starts what posts spans; Close ends it.
func New(cfg Config) (*Tracing, error) {
	switch {
	case cfg.Post == nil:
		return nil, errors.New("tracing: no way to post spans")
	case !(cfg.Sample > 0 && cfg.Sample <= 1):
		return nil, errors.New("tracing: the share of requests is not more than 0 and at most 1")
	}
	exporter, err := otlptrace.New(context.Background(), &client{post: cfg.Post, failing: cfg.Failing})
	if err != nil {
		return nil, err
	}
	provider := sdk.NewTracerProvider(
		sdk.WithSampler(sdk.AlwaysSample()), sdk.WithIDGenerator(generator{}),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "guestlist"), attribute.String("service.version", cfg.Version))),
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(maxSpans), sdk.WithBatchTimeout(batchEvery), sdk.WithExportTimeout(postWithin)),
	)
	below := uint64(math.MaxUint64)
	if cfg.Sample < 1 {
		below = uint64(cfg.Sample * (1 << 63) * 2)
	}
	return &Tracing{provider: provider, tracer: provider.Tracer("guestlist"), below: below}, nil
}

// Close posts what waits and ends. Spans that end later are dropped.
func (t *Tracing) Close(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// Enter begins the span of a request that is drawn, and returns its context,
// trace id and span id; of another request its own context and nothing.
// Where trusted, the span belongs to the trace that traceparent names (W3C
// Trace Context), whether that says to sample or not.
func (t *Tracing) Enter(r *http.Request, trusted bool) (ctx context.Context, traceID, spanID string) {
	ctx = r.Context()
	if t.below != math.MaxUint64 && random() >= t.below {
		return ctx, "", ""
	}
	if trusted {
		from := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(r.Header))
		parent := trace.SpanContextFromContext(from).WithTraceState(trace.TraceState{})
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	ctx, span := t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
	sc := span.SpanContext()
	return ctx, sc.TraceID().String(), sc.SpanID().String()
}

// Left ends the span of a request, where it has one.
func (t *Tracing) Left(ctx context.Context, route string, status int, reason string) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetName(route)
	span.SetAttributes(attribute.String("http.route", route), attribute.Int("http.response.status_code", status))
	if reason != "" {
		span.SetAttributes(attribute.String("guestlist.reason", reason))
	}
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, reason)
	}
	span.End()
}

// Part is a part of a request that is over.
type Part struct {
	Name   string // decision, fetch or commit
	Began  time.Time
	Took   time.Duration
	Host   string // of a client identifier; empty: none is concerned
	Phase  string // of a decision; empty: none
	Result string // admitted, fetched …; empty: none
	Reason string // why not; empty: nothing was refused
}

// Part makes the span of a part of a traced request.
func (t *Tracing) Part(ctx context.Context, p Part) {
	if !trace.SpanFromContext(ctx).SpanContext().IsSampled() {
		return
	}
	var attributes []attribute.KeyValue
	for _, a := range [...][2]string{
		{"guestlist.client.host", p.Host}, {"guestlist.phase", p.Phase}, {"guestlist.result", p.Result}, {"guestlist.reason", p.Reason},
	} {
		if a[1] != "" {
			attributes = append(attributes, attribute.String(a[0], a[1]))
		}
	}
	_, span := t.tracer.Start(ctx, p.Name, trace.WithTimestamp(p.Began), trace.WithAttributes(attributes...))
	span.End(trace.WithTimestamp(p.Began.Add(p.Took)))
}

// generator makes identifiers that nobody can foresee.
type generator struct{}

// NewIDs implements sdk.IDGenerator.
func (g generator) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	for !id.IsValid() {
		rand.Read(id[:])
	}
	return id, g.NewSpanID(ctx, id)
}

// NewSpanID implements sdk.IDGenerator.
func (generator) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	for !id.IsValid() {
		rand.Read(id[:])
	}
	return id
}

func random() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}
