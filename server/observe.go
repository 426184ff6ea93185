package server

import (
	"context"
	"net/http"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// Observer is told what a Server does, for metrics and traces. A nil function
// is not called. They are called while a request waits, from many goroutines
// at once, and must be quick.
type Observer struct {
	// Enter is told of every request before anything of it is looked at, and
	// returns the context that it is answered under and what traces call it; the
	// zero Trace where it is not traced. trusted says that a trusted proxy sent
	// it: only then may its headers be believed about a trace that it belongs to.
	Enter func(r *http.Request, trusted bool) (context.Context, Trace)
	// Left is told of every request that was answered, under that context.
	Left func(ctx context.Context, seen Seen)
	// Committed is told of every commit of a step of a request. A lost
	// precondition is an error too.
	Committed func(ctx context.Context, began time.Time, took time.Duration, err error)
}

// Trace is what W3C trace context calls a request: 32 and 16 hex digits.
type Trace struct {
	TraceID string // also in the decision records of the request
	SpanID  string // of the request itself; also in its decision records
}

// Seen is one request that was answered. Nothing in it is a stranger's choice
// but which of the endpoints was asked.
type Seen struct {
	Route  string        // path of the endpoint as it is mounted; "none" for every other path
	Status int           // of the answer; zero: none was written
	Reason broker.Reason // the true one; empty when nothing was refused
	Took   time.Duration
}

// entered tells the observer of a request and returns it with its context.
func (s *Server) entered(r *http.Request, v *visit) *http.Request {
	if s.cfg.Observe.Enter == nil {
		return r
	}
	ctx, t := s.cfg.Observe.Enter(r, s.trusts(peer(r)))
	v.trace = t
	return r.WithContext(ctx)
}

// left tells the observer of a request that was answered.
func (s *Server) left(ctx context.Context, v *visit, took time.Duration) {
	if s.cfg.Observe.Left == nil {
		return
	}
	seen := Seen{Route: v.route, Status: v.status, Took: took}
	if v.err != nil {
		seen.Reason = broker.ReasonOf(v.err)
	}
	s.cfg.Observe.Left(ctx, seen)
}

// commit commits u and tells the observer.
func (s *Server) commit(ctx context.Context, u store.Unit) error {
	if s.cfg.Observe.Committed == nil {
		return s.cfg.Store.Commit(ctx, u)
	}
	began := s.cfg.Now()
	err := s.cfg.Store.Commit(ctx, u)
	s.cfg.Observe.Committed(ctx, began, s.cfg.Now().Sub(began), err)
	return err
}
