package broker

import (
	"cmp"
	"fmt"
)

// Caps bound how many clients there are at the same time. A new one beyond
// them is refused, an old one is never evicted. Zero means the default of a
// field; negative is refused.
type Caps struct {
	Total     int // default 100000
	PerDomain int // per registrable domain; default 1000
	PerPolicy int // of one policy; default: no bound but Total
}

// complete fills the defaults.
func (c Caps) complete() (Caps, error) {
	if min(c.Total, c.PerDomain, c.PerPolicy) < 0 {
		return c, fmt.Errorf("a cap of %+v is negative", c)
	}
	c.Total, c.PerDomain = cmp.Or(c.Total, 100_000), cmp.Or(c.PerDomain, 1000)
	c.PerPolicy = cmp.Or(c.PerPolicy, c.Total)
	return c, nil
}

// domain is the registrable domain of the client; its host where there is
// none, as for a name that is a public suffix itself.
func (c *call) domain() string { return cmp.Or(c.id.RegistrableDomain(), c.id.Host) }

// caps are the caps for this request. One that found its own client expired,
// and so ends it in the same commit, makes the room that it takes.
func (c *call) caps() Caps {
	caps := c.b.cfg.Caps
	if !c.live && c.row.ID != "" {
		caps.Total, caps.PerDomain, caps.PerPolicy = caps.Total+1, caps.PerDomain+1, caps.PerPolicy+1
	}
	return caps
}

// findRoom refuses a new client beyond the caps, or beyond what the store has
// room for, before anything is fetched for it. The commit looks at the caps
// again.
func (c *call) findRoom() error {
	if c.live || c.apart {
		return nil
	}
	if r := c.b.room(); r >= RoomForKnown {
		return NoRoom(r)
	}
	domain, winner := c.domain(), c.out.Decision.Winner
	have, err := c.u.ClientCount(c.ctx, domain, winner)
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	caps := c.caps()
	switch {
	case have.PerDomain >= caps.PerDomain:
		return Refuse(ReasonClientCapReached, "cimd.caps: per_domain is reached, %s has %d clients", domain, have.PerDomain)
	case have.PerPolicy >= caps.PerPolicy:
		return Refuse(ReasonClientCapReached, "cimd.caps: per_policy is reached, one of %q has %d clients", winner, have.PerPolicy)
	case have.Total >= caps.Total:
		return Refuse(ReasonClientCapReached, "cimd.caps: total is reached, there are %d clients", have.Total)
	}
	return nil
}
