package broker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"time"
)

// maxSeen bounds how many answers are remembered, seenFor how long: a list row
// that runs out or a rule that reads the clock is noticed that much later.
const (
	maxSeen = 10_000
	seenFor = time.Minute
)

// sighting is one client that was found alive, for one grant's facts.
type sighting struct {
	client string
	epoch  uint64            // grows with every activation, block and pin
	facts  [sha256.Size]byte // of the frozen request and what becomes of the grant
}

// Alive reports whether the client of a token still lives, for introspection:
// req says whose token it is, with the request as the grant froze it as Facts
// and a Bound. It reads stored liveness and blocks, and asks the url phase at
// most once a minute, and anew after an activation, a block or a pin. A client
// that is found expired or blocked, or that no policy names any more
// (settings.on_policy_change: revoke), is ended on u with a record; the caller
// commits u where it is not empty. With endGrant the client stays and the
// caller ends the grant. A client that a policy denies, or names for other
// requests only, is not alive, and its row stays.
func (b *Broker) Alive(ctx context.Context, u Unit, req Request) (alive, endGrant bool, err error) {
	c := b.newCall(ctx, u, req)
	if c.identify() != nil {
		return false, false, nil
	}
	if c.policy, c.out.Epoch, err = b.active(ctx, u); err != nil {
		return false, false, err
	}
	c.out.Revision = c.policy.Revision()
	if err := c.meet(); err != nil {
		if ReasonOf(err) == ReasonStoreUnavailable {
			return false, false, err
		}
		return false, false, nil
	}
	if !c.live || c.row.Incarnation != req.Bound.Incarnation {
		return false, false, nil
	}
	word := c.onPolicyChange()
	facts, err := json.Marshal(req.Facts)
	if err != nil {
		return false, false, err
	}
	saw := sighting{client: req.ClientID, epoch: c.out.Epoch, facts: sha256.Sum256(append(facts, word...))}
	if b.wasSeen(saw, c.now) {
		return true, false, nil
	}
	if err := c.began(); err != nil {
		return false, false, err
	}
	d := c.ask(PhaseURL, nil)
	c.lapse(d)
	alive = d.Allowed || d.Unnamed && word != "revoke"
	if alive {
		b.remember(saw, c.now)
	}
	return alive, c.out.Decision.EndGrant, nil
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
// and says how many: clients that nobody meets again. That are the expired
// ones, those that a block covers, those whose identifier the configuration
// took over or gave up, and those that no policy names any more
// (settings.on_policy_change: revoke), so that they do not come back with the
// policy. The caller commits u.
func (b *Broker) Sweep(ctx context.Context, u Unit, rows []Client) (int, error) {
	n := 0
	for _, row := range rows {
		c, err := b.meeting(ctx, u, row)
		if err != nil {
			return 0, err
		}
		if err := c.sweep(); err != nil {
			return 0, err
		}
		if c.ended {
			n++
		}
	}
	return n, nil
}

// sweep ends the client where it would not outlive being met.
func (c *call) sweep() error {
	if c.identify() != nil {
		return nil
	}
	c.registration = RegistrationCIMD
	if err := c.know(); err != nil {
		return err
	}
	if err := c.keptOut(); ReasonOf(err) == ReasonStoreUnavailable {
		return err
	}
	if c.expire() || !c.live {
		return nil
	}
	if err := c.began(); err != nil {
		return err
	}
	c.lapse(c.ask(PhaseURL, nil))
	return nil
}
