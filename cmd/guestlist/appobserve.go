package main

import (
	"context"
	"net/http"
	"time"

	"guestlist/broker"
	"guestlist/server"
	"guestlist/server/tracing"
)

// trace starts what posts spans, where the plan has it.
func (a *app) trace() (err error) {
	if a.plan.tracing == nil {
		return nil
	}
	cfg := *a.plan.tracing
	cfg.Failing = func(err error) {
		if err == nil {
			a.log.Info().Str("event", "tracing.working").Send()
			return
		}
		a.log.Error().Str("event", "tracing.failing").Err(err).Msg("spans are lost until the collector answers")
	}
	a.tracing, err = tracing.New(cfg)
	return err
}

// observeBroker is who is told of decisions and fetches.
func (a *app) observeBroker() broker.Observer {
	return debugging(a.log, broker.Observer{Decided: a.decided, Fetched: a.fetched, Spent: a.spent})
}

func (a *app) decided(ctx context.Context, d broker.Decided) {
	a.metrics.Decided(d)
	if a.tracing != nil {
		a.tracing.Part(ctx, tracing.Part{
			Name: "decision", Began: d.Began, Took: d.Took, Host: d.Host, Phase: string(d.Phase), Result: d.Outcome, Reason: string(d.Reason),
		})
	}
}

func (a *app) fetched(ctx context.Context, f broker.Fetched) {
	a.metrics.Fetched(f)
	if a.tracing == nil {
		return
	}
	p := tracing.Part{Name: "fetch", Began: f.Began, Took: f.Took, Host: f.Host, Reason: string(f.Reason)}
	switch {
	case f.NotModified:
		p.Result = "not_modified"
	case f.Reason == "":
		p.Result = "fetched"
	}
	a.tracing.Part(ctx, p)
}

// observeServer is who is told of requests. Where nothing is traced, commits
// and arrivals are told to nobody and cost nothing.
func (a *app) observeServer() server.Observer {
	o := server.Observer{Left: func(_ context.Context, s server.Seen) { a.metrics.Request(s.Route, s.Status, s.Reason, s.Took) }}
	if a.tracing == nil {
		return o
	}
	o.Enter = func(r *http.Request, trusted bool) (context.Context, server.Trace) {
		ctx, traceID, spanID := a.tracing.Enter(r, trusted)
		return ctx, server.Trace{TraceID: traceID, SpanID: spanID}
	}
	o.Left = func(ctx context.Context, s server.Seen) {
		a.metrics.Request(s.Route, s.Status, s.Reason, s.Took)
		a.tracing.Left(ctx, s.Route, s.Status, string(s.Reason))
	}
	o.Committed = func(ctx context.Context, began time.Time, took time.Duration, err error) {
		p := tracing.Part{Name: "commit", Began: began, Took: took, Result: "committed"}
		if err != nil {
			p.Result = "failed, or decided under an older state"
		}
		a.tracing.Part(ctx, p)
	}
	return o
}

// spent counts a fetch that was not made.
func (a *app) spent(_ context.Context, s broker.Spent) { a.metrics.Spent(s.Budget) }
