package main

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/store"
)

// sweepEvery is how often what nobody will meet again is deleted, sweepAtMost
// how much of it in one transaction.
const (
	sweepEvery  = time.Minute
	sweepAtMost = 500
)

// sweeper deletes what nobody will meet again.
type sweeper struct {
	store  store.Store
	broker *broker.Broker
	now    func() time.Time
	log    zerolog.Logger

	last  uint64 // the epoch of the last round
	under uint64 // the epoch that every client was looked at under
}

// sweep sweeps until ctx is done.
func (a *app) sweep(ctx context.Context) {
	s := &sweeper{store: a.store, broker: a.broker, now: time.Now, log: a.log}
	every(ctx, sweepEvery, func() { s.round(ctx) })
}

// round deletes ended sessions, codes, marks, tokens and grants, and ends
// clients whose life is over.
func (s *sweeper) round(ctx context.Context) {
	for n := sweepAtMost; n == sweepAtMost; {
		var err error
		n, err = s.store.Sweep(ctx, s.now(), sweepAtMost)
		s.failing(err)
	}
	s.failing(s.expired(ctx))
	s.failing(s.keptOut(ctx))
}

// failing logs an error.
func (s *sweeper) failing(err error) {
	if err != nil {
		s.log.Error().Str("event", "store.sweep_failing").Err(err).Send()
	}
}

// keptOut ends clients that a block, the configuration or the policies keep
// out and that nobody meets: what was taken away and given back later revives
// nothing. It looks at them all, and so only after a start and when the epoch
// moved; and only once it has stood for a round, because a policy directory
// that is being written may be without a policy for a moment.
func (s *sweeper) keptOut(ctx context.Context) error {
	epoch, err := s.store.Begin().Epoch(ctx)
	stands := epoch == s.last
	s.last = epoch
	if err != nil || !stands || epoch == s.under {
		return err
	}
	for after := ""; ; {
		rows, err := s.store.Clients(ctx, store.ClientQuery{After: after, Limit: sweepAtMost})
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			s.under = epoch
			return nil
		}
		after = rows[len(rows)-1].ID
		if _, err := s.end(ctx, rows); err != nil {
			return ignoreConflict(err)
		}
	}
}

// expired ends clients whose life is over. What moved meanwhile is left to the
// next round.
func (s *sweeper) expired(ctx context.Context) error {
	for {
		// A damaged row does not keep the others alive.
		rows, damage := s.store.Expired(ctx, s.now(), sweepAtMost)
		if len(rows) == 0 {
			return damage
		}
		if n, err := s.end(ctx, rows); err != nil || n < sweepAtMost {
			return errors.Join(ignoreConflict(err), damage)
		}
	}
}

// end ends those of these clients that would not outlive being met, in one
// commit, and says how many.
func (s *sweeper) end(ctx context.Context, rows []broker.Client) (int, error) {
	u := s.store.Begin()
	n, err := s.broker.Sweep(ctx, u, rows)
	if err == nil && n > 0 {
		err = s.store.Commit(ctx, u)
	}
	return n, err
}

// ignoreConflict drops the error of a commit whose rows moved meanwhile.
func ignoreConflict(err error) error {
	if errors.Is(err, broker.ErrConflict) {
		return nil
	}
	return err
}
