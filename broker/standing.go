package broker

import "context"

// Standing says why nothing may be fetched on behalf of the client of a grant,
// nil when something may, by the way that settings.network opens now: a client
// that has ended, is blocked, denied or named by no policy any more makes this
// server send nothing, and neither does one whose keys are at a host that is
// blocked. req is as for Alive, and the url phase is asked each time. What is
// found over is ended on u as Alive does it, endGrant included.
func (b *Broker) Standing(ctx context.Context, u Unit, req Request) (way NetworkSettings, endGrant bool, err error) {
	c := b.newCall(ctx, u, req)
	if err := c.identify(); err != nil {
		return way, false, err
	}
	if c.policy, c.out.Epoch, err = b.active(ctx, u); err != nil {
		return way, false, err
	}
	c.out.Revision = c.policy.Revision()
	if err := c.meet(); err != nil {
		return way, false, err
	}
	if !c.live || c.row.Incarnation != req.Bound.Incarnation {
		return way, false, Refuse(ReasonClientEnded, "incarnation %d of the client is over", req.Bound.Incarnation)
	}
	if err := c.keysKeptOut(); err != nil {
		return way, false, err
	}
	if err := c.began(); err != nil {
		return way, false, err
	}
	d := c.ask(PhaseURL, nil)
	c.lapse(d)
	if d.Allowed || d.Unnamed && c.kept(PhaseRefresh) != nil {
		return d.Settings.Network, false, nil
	}
	return way, c.out.Decision.EndGrant, refusal(d)
}
