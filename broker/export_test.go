package broker

import (
	"context"

	"guestlist/broker/decisionlog"
)

// Author runs a call without staging anything and returns what writes its
// record, again and again.
func Author(ctx context.Context, b *Broker, u Unit, req Request) func() (decisionlog.Record, error) {
	c := b.newCall(ctx, u, req)
	err := c.run()
	c.hint(err)
	return func() (decisionlog.Record, error) { return c.author(err) }
}
