package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

const (
	// retainEvery is how often bodies that are past their age are looked for.
	retainEvery = time.Minute
	// retainSteps is how many commits a class has in one round at most, and with
	// store.Retain's default how many bodies can go in a minute by a clock that
	// is wrong: 10,000.
	retainSteps = 50
	// retainApart is how far a place moves before it is remembered where nothing
	// was erased.
	retainApart = 256
	// materialEvery is how often documents and policies are swept.
	materialEvery = time.Hour
)

// A clock that moved by more than clockJumped beside the time that the process
// ran, or at a start by more than clockSettles since the newest record, may be
// wrong, and what is erased is gone: nothing is for clockSettles. A clock that
// is behind the newest record by more than clockSlack is wrong.
const (
	clockJumped  = time.Hour
	clockSettles = 24 * time.Hour
	clockSlack   = time.Minute
)

// retainer erases the bodies of records that are past their age, and deletes
// documents and policies that no kept input is about.
type retainer struct {
	store  store.Store
	ages   map[decisionlog.Class]time.Duration // a class without one is never erased
	record func() decisionlog.Record           // begins a record
	now    func() time.Time
	ran    func() time.Duration // how long the process runs, whatever the clock says
	log    zerolog.Logger

	last    time.Time     // the clock in the round before, or at the start
	lastRan time.Duration // ran then
	settled time.Duration // ran from which on the clock is trusted
	until   time.Time     // the same by the clock
	swept   time.Duration // ran when documents and policies are swept next
	waits   atomic.Pointer[string]
}

// retain erases until ctx is done.
func (a *app) retain(ctx context.Context) { a.retainer.run(ctx) }

// run takes a round at once and then every minute, until ctx is done.
func (k *retainer) run(ctx context.Context) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		k.round(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// newRetainer is that of a running server, made before the start writes its
// first record.
func (a *app) newRetainer(ctx context.Context) *retainer {
	began := time.Now()
	k := &retainer{
		store: a.store, ages: a.plan.retain, log: a.log,
		now: func() time.Time { return time.Now().Round(0) }, ran: func() time.Duration { return time.Since(began) },
		record: func() decisionlog.Record { return decisionlog.Record{Revision: a.broker.Revision()} },
	}
	k.begin(ctx)
	return k
}

// begin looks whether the clock may have jumped since the last record.
func (k *retainer) begin(ctx context.Context) {
	k.last, k.lastRan = k.now(), k.ran()
	newest, err := k.newest(ctx)
	if err != nil || !newest.IsZero() && k.last.Sub(newest) > clockSettles {
		k.settle()
	}
}

// settle has nothing erased for a while.
func (k *retainer) settle() { k.settled, k.until = k.lastRan+clockSettles, k.last.Add(clockSettles) }

// newest is the time of the newest record; zero: there is none.
func (k *retainer) newest(ctx context.Context) (at time.Time, err error) {
	list, err := k.store.Records(ctx, store.RecordQuery{Newest: true, Limit: 1})
	if err != nil || len(list) == 0 {
		return at, err
	}
	r, err := decisionlog.Sealed{Seq: list[0].Seq, Header: list[0].Header}.Record()
	return r.Timestamp, err
}

// round erases what is past its age, unless the clock cannot be trusted.
func (k *retainer) round(ctx context.Context) {
	if len(k.ages) > 0 {
		why, err := k.mistrust(ctx)
		k.failing(err)
		k.tell(why)
		if err == nil && why == "" {
			for _, c := range decisionlog.Classes() {
				if age, ok := k.ages[c.Class]; ok {
					k.failing(k.erase(ctx, c.Class, age))
				}
			}
		}
	}
	if ran := k.ran(); ran >= k.swept && ctx.Err() == nil {
		k.swept = ran + materialEvery
		k.failing(k.material(ctx))
	}
}

// failing logs an error; that the server stops is none.
func (k *retainer) failing(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		k.log.Error().Str("event", "log.erase_failing").Err(err).Send()
	}
}

// tell logs why nothing is erased, once, and keeps it for the status.
func (k *retainer) tell(why string) {
	if old := k.waits.Swap(&why); (old == nil || *old != why) && why != "" {
		k.log.Warn().Str("event", "log.erase_waits").Msg(why)
	}
}

// mistrust says why the clock cannot be trusted; empty: it can.
func (k *retainer) mistrust(ctx context.Context) (string, error) {
	newest, err := k.newest(ctx)
	if err != nil {
		return "", err
	}
	now, ran := k.now(), k.ran()
	jump := now.Sub(k.last) - (ran - k.lastRan)
	if k.last, k.lastRan = now, ran; jump > clockJumped {
		k.settle()
	}
	switch {
	case now.Add(clockSlack).Before(newest):
		return "nothing is erased: the newest record is of a later time than the clock. Remedy: set the clock; it goes on with the next record by a right one", nil
	case ran < k.settled:
		return fmt.Sprintf("nothing is erased until %s: the clock moved by more than this process ran, or since the last record, and may be wrong", k.until.UTC().Format(time.RFC3339)), nil
	}
	return "", nil
}

// erase takes the steps of one class that are due. One that loses against a
// hold which is put meanwhile is taken again.
func (k *retainer) erase(ctx context.Context, class decisionlog.Class, age time.Duration) error {
	var damage []error
	for range retainSteps {
		more, bad, err := k.step(ctx, class, age)
		damage = append(damage, bad)
		if errors.Is(err, broker.ErrConflict) {
			continue
		}
		if err != nil || !more {
			return errors.Join(append(damage, err)...)
		}
	}
	return errors.Join(damage...)
}

// step erases some bodies of one class with their record, in one commit, and
// reports whether there may be more, and what could not be read.
func (k *retainer) step(ctx context.Context, class decisionlog.Class, age time.Duration) (more bool, damage, err error) {
	u, name, now := k.store.Begin(), store.RetainPlace(class), k.now()
	// Before the place, which dropping a hold sets back.
	_, holds, err := k.store.Holds(ctx)
	if err != nil {
		return false, nil, err
	}
	place, err := u.Cursor(ctx, name)
	if err != nil {
		return false, nil, err
	}
	due, damage := k.store.Overdue(ctx, store.Retain{Class: class, After: place, Before: now.Add(-age), Now: now})
	n := len(due.Seqs)
	if moved := due.Place - place; n == 0 && moved < retainApart && (damage == nil || moved == 0) {
		return false, damage, nil
	}
	if n > 0 {
		r := k.record()
		r.DecisionID, r.Timestamp, r.Event, r.Outcome, r.Count = broker.NewID(), now, decisionlog.EventLogErased, decisionlog.OutcomeDone, n
		r.Detail = fmt.Sprintf("%s older than %s: the bodies of %s, from %d to %d", class, broker.Duration(age), count(n, "record"), due.Seqs[0], due.Seqs[n-1])
		u.EraseBodies(due.Seqs)
		u.Append(r)
	}
	u.RequireHolds(holds) // those that Overdue looked at, or it is taken again
	u.PutCursor(name, due.Place)
	return due.More, damage, k.store.Commit(ctx, u)
}

// material deletes documents and policies that no kept input is about.
func (k *retainer) material(ctx context.Context) error {
	u, name := k.store.Begin(), store.RetainPlace("")
	place, err := u.Cursor(ctx, name)
	if err != nil {
		return err
	}
	out := store.Oldest{Place: place, More: true}
	for range retainSteps {
		if out, err = k.store.OldestInput(ctx, out.Place); err != nil || !out.More {
			break
		}
	}
	if err == nil && out.Place-place >= retainApart {
		u.PutCursor(name, out.Place)
		err = k.store.Commit(ctx, u)
	}
	if err != nil || out.More {
		return err // what is left is looked at in the next round
	}
	at, now := out.At, k.now()
	if at.IsZero() {
		at = now
	}
	if at.After(now) {
		return nil // by a clock that was ahead: nothing is known of its age
	}
	_, err = k.store.SweepMaterial(ctx, at)
	return err
}

// status adds how long bodies are kept, and why none are erased.
func (k *retainer) status(out map[string]any) {
	for class, age := range k.ages {
		out["retain_"+string(class)] = broker.Duration(age).String()
	}
	if why := k.waits.Load(); why != nil && *why != "" {
		out["retain_waits"] = *why
	}
}
