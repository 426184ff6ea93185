package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/server/grants"
	"guestlist/store"
)

// step runs fn on a unit of work and commits what it staged, as store.Step does.
// What fn prepared counts only when step returns its error unchanged. A lost
// spend comes back as broker.ErrSpent.
func (s *Server) step(ctx context.Context, fn func(u store.Unit) error) error {
	result, lost := store.Step(s.cfg.Store.Begin, func(u store.Unit) error { return s.commit(ctx, u) }, fn)
	switch {
	case lost == nil:
		return result
	case errors.Is(lost, broker.ErrSpent):
		return lost
	}
	return &broker.Error{Reason: broker.ReasonStoreUnavailable, Err: lost}
}

// hasRoom refuses what needs so much room where the store has less.
func (s *Server) hasRoom(need broker.Room) *broker.Error {
	if is := s.cfg.Store.Room(); is > need {
		return broker.NoRoom(is)
	}
	return nil
}

// admit asks the broker, and notes for the wide event what came of it.
func (s *Server) admit(ctx context.Context, u store.Unit, v *visit, req broker.Request) (broker.Admission, error) {
	v.asks(&req)
	a, err := s.cfg.Broker.Admit(ctx, u, req)
	v.decision, v.phase, v.policy, v.from = a.DecisionID, string(a.Decision.Phase), a.Decision.Winner, a.From
	if req.Bound != nil {
		v.grant = req.Bound.GrantID
	}
	v.recorded = err != nil // an allow has its record, but what goes wrong behind it has none yet
	if r := broker.ReasonOf(err); err == nil || r != broker.ReasonClientIDMalformed && r != broker.ReasonClientIDUnknown {
		v.client, v.digest = req.ClientID, ""
	} else {
		v.client, v.digest = "", broker.Digest(req.ClientID)
	}
	if err == nil {
		v.outcome = "admitted"
		if a.Reused || req.Person != nil {
			v.outcome = "reused"
		}
	}
	return a, err
}

// asks says in req which request of HTTP asks.
func (v *visit) asks(req *broker.Request) {
	req.RequestID, req.TraceID, req.SpanID = v.id, v.trace.TraceID, v.trace.SpanID
}

// named notes which client a request says it is from, before anything is known
// of it. What names no client may be anything, a password too, and leaves its
// digest.
func (s *Server) named(v *visit, clientID string) {
	if s.cfg.Broker.Names(clientID) {
		v.client = clientID
		return
	}
	v.digest = broker.Digest(clientID)
}

// authenticate finds out which client calls, and notes it, or the one that a
// refused request claims to be.
func (s *Server) authenticate(r *http.Request, v *visit, p params) (grants.ClientAuth, error) {
	auth, err := grants.Authenticate(r.Header, p.Values)
	if auth.ClientID != "" {
		s.named(v, auth.ClientID)
	}
	return auth, err
}

// nobody tells a caller whose client_id can name no client that there is none,
// where otherwise it would read that the code or token is not its own (RFC 6749
// section 5.2).
func (s *Server) nobody(auth grants.ClientAuth, err error) error {
	r := broker.ReasonOf(err)
	if r != broker.ReasonCodeUnknown && r != broker.ReasonRefreshUnknown || s.cfg.Broker.Names(auth.ClientID) {
		return err
	}
	if cimd.LooksLikeURL(auth.ClientID) {
		return broker.Refuse(broker.ReasonClientIDMalformed, "client_id is no client identifier URL; beside that: %w", err)
	}
	return broker.Refuse(broker.ReasonClientIDUnknown, "client_id is no URL and no client of the configuration has it; beside that: %w", err)
}

// concerns notes whose grant a request is about.
func (s *Server) concerns(v *visit, g store.Grant) {
	v.client, v.digest, v.subject, v.grant = g.ClientID, "", s.cfg.Keys.Pseudonym(g.Subject), g.ID
}

// note starts the record of an event that belongs to a visit.
func (s *Server) note(v *visit, event, outcome string) decisionlog.Record {
	v.decision = broker.NewID()
	return decisionlog.Record{
		DecisionID: v.decision, Timestamp: s.cfg.Now(), Event: event, Outcome: outcome, RequestID: v.id, TraceID: v.trace.TraceID, SpanID: v.trace.SpanID,
		Revision: s.cfg.Broker.Revision(), Source: v.source.String(), Subject: v.subject,
	}
}

// seconds rounds a duration up to whole seconds.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
