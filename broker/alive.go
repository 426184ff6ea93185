package broker

import (
	"context"

	"guestlist/broker/cimd"
)

// maxSeen bounds how many clients are remembered as alive under a revision.
const maxSeen = 10_000

// Alive reports whether a client still lives in an incarnation, for
// introspection: it reads stored liveness, and asks the url phase only when
// the policies changed since the client was last met, with the request as the
// grant froze it. A client that is found expired, or that no policy matches
// any more, is ended on u with a record; the caller commits u where it is not
// empty. A client that a policy denies, or names for other
// requests only, is not alive, and its row stays.
func (b *Broker) Alive(ctx context.Context, u Unit, requestID, clientID string, incarnation uint64, frozen RequestInput) (bool, error) {
	c := &call{b: b, ctx: ctx, u: u, req: Request{RequestID: requestID, ClientID: clientID}, now: b.cfg.Now(), metrics: map[string]int64{}}
	id, err := cimd.Parse(clientID)
	if err != nil {
		return false, nil
	}
	c.id = id
	if c.policy, c.out.Epoch, err = b.active(ctx, u); err != nil {
		return false, err
	}
	c.out.Revision = c.policy.Revision()
	if err := c.meet(); err != nil {
		return false, err
	}
	if !c.live || c.row.Incarnation != incarnation || b.cfg.AdmitOff {
		return false, nil
	}
	if c.row.Revision == c.out.Revision || b.wasSeen(clientID, c.out.Revision) {
		return true, nil
	}
	c.input = c.baseInput(frozen)
	d := c.ask(PhaseURL, nil)
	if d.Unnamed {
		c.prune(ReasonNoPolicyMatched, "no enabled policy matches the client any more")
	}
	if d.Allowed {
		b.remember(clientID, c.out.Revision)
	}
	return d.Allowed, nil
}

// wasSeen reports whether the client was found alive under revision.
func (b *Broker) wasSeen(clientID, revision string) bool {
	b.seenMu.Lock()
	defer b.seenMu.Unlock()
	return b.seen[clientID] == revision
}

// remember notes that the client is alive under revision.
func (b *Broker) remember(clientID, revision string) {
	b.seenMu.Lock()
	defer b.seenMu.Unlock()
	if b.seen == nil || len(b.seen) >= maxSeen {
		b.seen = map[string]string{}
	}
	b.seen[clientID] = revision
}
