package main

import (
	"context"
	"errors"
	"time"

	"guestlist/broker"
)

// sweepEvery is how often what nobody will meet again is deleted, sweepAtMost
// how much of it in one transaction.
const (
	sweepEvery  = time.Minute
	sweepAtMost = 500
)

// sweep deletes what nobody will meet again until ctx is done: ended sessions,
// codes, marks, tokens and grants, and clients whose life is over.
func (a *app) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for n := sweepAtMost; n == sweepAtMost; {
			var err error
			if n, err = a.store.Sweep(ctx, time.Now(), sweepAtMost); err != nil {
				a.log.Error().Str("event", "store.sweep_failing").Err(err).Send()
			}
		}
		if err := a.sweepClients(ctx); err != nil {
			a.log.Error().Str("event", "store.sweep_failing").Err(err).Send()
		}
	}
}

// sweepClients ends clients whose life is over, so many in one commit. What
// moved meanwhile is left to the next round.
func (a *app) sweepClients(ctx context.Context) error {
	for {
		// A damaged row does not keep the others alive.
		rows, damage := a.store.Expired(ctx, time.Now(), sweepAtMost)
		if len(rows) == 0 {
			return damage
		}
		u := a.store.Begin()
		n, err := a.broker.Sweep(ctx, u, rows)
		if err == nil && n > 0 {
			err = a.store.Commit(ctx, u)
		}
		switch {
		case errors.Is(err, broker.ErrConflict):
			return damage
		case err != nil || n < sweepAtMost:
			return errors.Join(err, damage)
		}
	}
}
