package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/store"
)

// The budget of the background look, its own: what it does not get done in
// one round it goes on with in the next.
const (
	lookEvery   = time.Minute
	lookRounds  = 4   // each time
	rowsARound  = 500 // clients, with their documents in memory, that are looked through for one whose time has come
	looksRound  = 60  // fetches
	looksAtOnce = 4
)

// looker looks at the documents of clients that have live grants and that
// nobody asks for (design §5, cimd.look).
type looker struct {
	store  store.Store
	broker *broker.Broker
	every  time.Duration // between two looks at one document; zero: there are none
	now    func() time.Time
	log    zerolog.Logger

	after string // the client that the last round ended with
}

// run looks until ctx is done.
func (l *looker) run(ctx context.Context) {
	if l.every > 0 {
		every(ctx, lookEvery, func() { l.rounds(ctx) })
	}
}

// rounds takes a few rounds, unless the store has little room: what they would
// learn can wait.
func (l *looker) rounds(ctx context.Context) {
	if l.store.Room().Short() {
		return
	}
	for range lookRounds {
		if err := l.round(ctx); err != nil && ctx.Err() == nil {
			l.log.Error().Str("event", "document.look_failing").Err(err).Send()
		}
		if l.after == "" {
			return
		}
	}
}

// round goes through some clients and looks at those whose time has come.
func (l *looker) round(ctx context.Context) error {
	rows, err := l.store.Clients(ctx, store.ClientQuery{After: l.after, Limit: rowsARound})
	if err != nil {
		return err
	}
	l.after = ""
	if len(rows) == rowsARound {
		l.after = rows[len(rows)-1].ID
	}
	var under sync.WaitGroup
	defer under.Wait()
	slots, looks, now := make(chan struct{}, looksAtOnce), 0, l.now()
	for _, row := range rows {
		if !broker.LookDue(row, l.every, now) {
			continue
		}
		g, found, err := l.grant(ctx, row, now)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		slots <- struct{}{}
		under.Go(func() {
			defer func() { <-slots }()
			guarded(l.log, "look", func() {
				if err := l.look(ctx, row, g); err != nil && ctx.Err() == nil {
					l.log.Error().Str("event", "document.look_failing").Str("client_id", row.ID).Err(err).Send()
				}
			})
		})
		if looks++; looks == looksRound {
			l.after = row.ID
			return nil
		}
	}
	return nil
}

// grant returns the newest live grant of a client's life.
func (l *looker) grant(ctx context.Context, row broker.Client, now time.Time) (store.Grant, bool, error) {
	grants, err := l.store.Grants(ctx, store.GrantQuery{ClientID: row.ID, Live: now, Limit: 1})
	if err != nil || len(grants) == 0 || grants[0].Incarnation != row.Incarnation {
		return store.Grant{}, false, err
	}
	return grants[0], true, nil
}

// look is one look and its commit. A client that moved meanwhile was met by
// somebody else.
func (l *looker) look(ctx context.Context, row broker.Client, g store.Grant) error {
	u := l.store.Begin()
	if err := l.broker.Look(ctx, u, row, g.Request); err != nil || u.Empty() {
		return err
	}
	if err := l.store.Commit(ctx, u); err != nil && !errors.Is(err, broker.ErrConflict) {
		return err
	}
	return nil
}
