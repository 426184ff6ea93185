package broker

import (
	"context"

	"guestlist/broker/decisionlog"
)

// Revoke stages the end of these clients and of their grants with reason
// client_revoked, and a record client.revoked for each. What was ended stays
// ended: the next authorization of the same client, where policy still lets it
// in, begins another life. The caller commits u; a conflict means that one of
// them moved, and the rows are to be read and asked about again.
//
// why is the operator's reason, for the record.
func (b *Broker) Revoke(ctx context.Context, u Unit, actor, why string, rows []Client) error {
	for _, row := range rows {
		c, err := b.meeting(ctx, u, row)
		if err != nil {
			return err
		}
		c.end(ending{event: decisionlog.EventClientRevoked, outcome: decisionlog.OutcomeDone, reason: ReasonClientRevoked, why: why, actor: actor})
	}
	return nil
}

// meeting is a call about a client that did not ask for anything itself.
func (b *Broker) meeting(ctx context.Context, u Unit, row Client) (*call, error) {
	c := b.newCall(ctx, u, Request{ClientID: row.ID, RequestID: RequestOf(ctx)})
	c.row, c.live, c.registration = row, true, row.Registration
	var err error
	if c.policy, c.out.Epoch, err = b.active(ctx, u); err != nil {
		return nil, err
	}
	c.out.Revision = c.policy.Revision()
	return c, nil
}

// ending says why and by whom a client ends.
type ending struct {
	event   string // empty: client.pruned, or client.expired where the client had
	outcome string // empty: pruned
	reason  Reason
	why     string // for the operator
	actor   string // empty: nobody, the client was met
}

// prune ends the client that this request met, with a record of its own in
// the same commit.
func (c *call) prune(reason Reason, why string) { c.end(ending{reason: reason, why: why}) }

// end stages the end of the client and its grants with a record.
func (c *call) end(e ending) {
	if e.event == "" {
		e.event, e.outcome = decisionlog.EventClientPruned, decisionlog.OutcomePruned
		if e.reason == ReasonClientEnded && c.row.Expired(c.now) {
			e.event = decisionlog.EventClientExpired
		}
	}
	if c.dry {
		c.live = false
		return
	}
	c.u.RequireEpoch(c.out.Epoch)
	c.u.EndClient(c.row.ID, c.row.Incarnation, c.now, e.reason)
	c.u.Append(decisionlog.Record{
		DecisionID: NewID(), Timestamp: c.now, Event: e.event, Outcome: e.outcome, Actor: e.actor,
		Reason: string(e.reason), RequestID: c.req.RequestID, TraceID: c.req.TraceID, SpanID: c.req.SpanID, Path: Contract, Revision: c.out.Revision,
		FactsSHA256: c.policy.facts, Engine: c.policy.Engine(), Epoch: c.out.Epoch, ClientID: c.row.ID, Registration: string(c.row.Registration),
		Incarnation: c.row.Incarnation, DocumentSHA256: c.row.DocumentSHA256, Policy: c.row.Policy, Detail: e.why,
	})
	c.live, c.ended = false, true
	if told := c.b.cfg.Observe.Ended; told != nil {
		told(c.ctx, Ended{Event: e.event, Reason: e.reason, Why: e.why, ClientID: c.row.ID, Policy: c.row.Policy, RequestID: c.req.RequestID})
	}
}

// act starts the record of what an operator did.
func (b *Broker) act(ctx context.Context, u Unit, event, actor string) (decisionlog.Record, error) {
	epoch, err := u.Epoch(ctx)
	if err != nil {
		return decisionlog.Record{}, &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	return decisionlog.Record{
		DecisionID: NewID(), Timestamp: b.cfg.Now().UTC(), Event: event, Outcome: decisionlog.OutcomeDone, Actor: actor, RequestID: RequestOf(ctx),
		Path: Contract, Revision: b.Revision(), Epoch: epoch,
	}, nil
}
