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
	var under uint64 // the epoch that every client was looked at under
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
		var err error
		if under, err = a.sweepKeptOut(ctx, under); err != nil {
			a.log.Error().Str("event", "store.sweep_failing").Err(err).Send()
		}
	}
}

// sweepKeptOut ends clients that a block or the configuration keeps out and
// that nobody meets, a page in one commit. It looks at them all, and so only
// when the epoch moved since under, and after a start; it returns the epoch
// that everything was looked at under, or under when something moved or failed.
func (a *app) sweepKeptOut(ctx context.Context, under uint64) (uint64, error) {
	epoch, err := a.store.Begin().Epoch(ctx)
	if err != nil || epoch == under {
		return under, err
	}
	for after := ""; ; {
		rows, err := a.store.Clients(ctx, store.ClientQuery{After: after, Limit: sweepAtMost})
		if err != nil {
			return under, err
		}
		if len(rows) == 0 {
			return epoch, nil
		}
		after = rows[len(rows)-1].ID
		u := a.store.Begin()
		n, err := a.broker.Sweep(ctx, u, rows)
		if err == nil && n > 0 {
			err = a.store.Commit(ctx, u)
		}
		switch {
		case errors.Is(err, broker.ErrConflict):
			return under, nil
		case err != nil:
			return under, err
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
