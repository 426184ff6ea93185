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
}

// complete fills the defaults.
func (c Caps) complete() (Caps, error) {
	if min(c.Total, c.PerDomain) < 0 {
		return c, fmt.Errorf("a cap of %+v is negative", c)
	}
	return Caps{Total: cmp.Or(c.Total, 100_000), PerDomain: cmp.Or(c.PerDomain, 1000)}, nil
}

// domain is the registrable domain of the client; its host where there is
// none, as for a name that is a public suffix itself.
func (c *call) domain() string { return cmp.Or(c.id.RegistrableDomain(), c.id.Host) }

// caps are the caps for this request. One that found its own client expired,
// and so ends it in the same commit, makes the room that it takes.
func (c *call) caps() (total, perDomain int) {
	own := 0
	if !c.live && c.row.ID != "" {
		own = 1
	}
	return c.b.cfg.Caps.Total + own, c.b.cfg.Caps.PerDomain + own
}

// findRoom refuses a new client beyond the caps before anything is fetched for
// it. The commit looks again.
func (c *call) findRoom() error {
	if c.live {
		return nil
	}
	domain := c.domain()
	total, ofDomain, err := c.u.ClientCount(c.ctx, domain)
	if err != nil {
		return &Error{Reason: ReasonStoreUnavailable, Err: err}
	}
	maxTotal, maxDomain := c.caps()
	switch {
	case ofDomain >= maxDomain:
		return Refuse(ReasonClientCapReached, "cimd.caps: per_domain is reached, %s has %d clients", domain, ofDomain)
	case total >= maxTotal:
		return Refuse(ReasonClientCapReached, "cimd.caps: total is reached, there are %d clients", total)
	}
	return nil
}
