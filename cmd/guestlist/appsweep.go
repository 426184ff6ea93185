package main

import (
	"context"
	"errors"
	"time"

	"guestlist/broker"
	"guestlist/store"
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

// sweepClients ends expired clients, a page of rows in one commit. A page that
// moved meanwhile is left to the next round.
func (a *app) sweepClients(ctx context.Context) error {
	for after := ""; ; {
		rows, err := a.store.Clients(ctx, store.ClientQuery{After: after, Limit: sweepAtMost})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		u := a.store.Begin()
		n, err := a.broker.Sweep(ctx, u, rows)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if err := a.store.Commit(ctx, u); err != nil && !errors.Is(err, broker.ErrConflict) {
			return err
		}
	}
}
