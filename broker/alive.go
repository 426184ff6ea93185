package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"

	"guestlist/broker/cimd"
)

// maxSeen bounds how many answers are remembered, seenFor how long: a list row
// that runs out or a rule that reads the clock is noticed that much later.
const (
	maxSeen = 10_000
	seenFor = time.Minute
)

// sighting is one client that was found alive, for one grant's facts.
type sighting struct {
	client   string
	revision string
	facts    [sha256.Size]byte // of the frozen request
}

// Alive reports whether a client still lives in an incarnation, for
// introspection: it reads stored liveness, and asks the url phase at most once
// a minute for the request as the grant froze it, and anew after an
// activation. A client that is found expired, or that no policy matches
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
	saw := sighting{client: clientID, revision: c.out.Revision}
	facts, err := json.Marshal(frozen)
	if err != nil {
		return false, err
	}
	if saw.facts = sha256.Sum256(facts); b.wasSeen(saw, c.now) {
		return true, nil
	}
	c.input = c.baseInput(frozen)
	d := c.ask(PhaseURL, nil)
	if d.Unnamed {
		c.prune(ReasonNoPolicyMatched, "no enabled policy matches the client any more")
	}
	if d.Allowed {
		b.remember(saw, c.now)
	}
	return d.Allowed, nil
}

// wasSeen reports whether the same was found alive a short while ago.
func (b *Broker) wasSeen(s sighting, now time.Time) bool {
	b.seenMu.Lock()
	defer b.seenMu.Unlock()
	return now.Before(b.seen[s])
}

// remember notes that a client is alive.
func (b *Broker) remember(s sighting, now time.Time) {
	b.seenMu.Lock()
	defer b.seenMu.Unlock()
	if b.seen == nil || len(b.seen) >= maxSeen {
		b.seen = map[sighting]time.Time{}
	}
	b.seen[s] = now.Add(seenFor)
}

// Sweep stages the end of the rows whose life is over, each with its record,
// and says how many: clients that nobody meets again. The caller commits u.
func (b *Broker) Sweep(ctx context.Context, u Unit, rows []Client) (int, error) {
	policy, epoch, err := b.active(ctx, u)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, row := range rows {
		c := &call{b: b, ctx: ctx, u: u, now: b.cfg.Now(), policy: policy, row: row}
		c.out.Epoch, c.out.Revision = epoch, policy.Revision()
		if row.Expired(c.now) {
			c.prune(ReasonClientEnded, "the client expired at "+row.ExpiresAt.UTC().Format(time.RFC3339)+" and was not met again")
			n++
		}
	}
	return n, nil
}
