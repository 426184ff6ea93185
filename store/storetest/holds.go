package storetest

import (
	"context"
	"reflect"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// holdsKeep: what fits a hold is not overdue, until the hold is dropped.
func holdsKeep(e *env) {
	ctx := context.Background()
	e.log(aged()...)
	query := store.Retain{Class: decisionlog.ClassPeople, Before: moment(50 * time.Hour), Now: moment(50 * time.Hour)}
	expect := func(name string, number uint64, want ...uint64) {
		e.Helper()
		if got := e.overdue(query); !slices.Equal(got.Seqs, want) || got.Holds != number || got.Place != 8 {
			e.Errorf("%s: Overdue() = %+v, want %v under state %d", name, got, want, number)
		}
	}
	expect("no hold", 0, 2, 7)
	one := store.Hold{ID: "h1", Filter: store.RecordQuery{Subject: "alice", Since: moment(0), Until: moment(time.Hour + 1)}, Reason: "T-1", Actor: "root", At: moment(0)}
	two := store.Hold{ID: "h0", Filter: store.RecordQuery{Host: "app.example", Outcome: "refused"}, Reason: "T-2", Actor: "root", At: moment(1)}
	e.must(func(u store.Unit) { u.PutHold(one) })
	expect("alice is held", 1, 7)
	e.must(func(u store.Unit) { u.PutHold(two) })
	e.reopen()
	expect("both are held", 2)
	if list, number, err := e.s.Holds(ctx); err != nil || number != 2 || !reflect.DeepEqual(list, []store.Hold{two, one}) {
		e.Errorf("Holds() = %+v, %d, %v, want %+v", list, number, err, []store.Hold{two, one})
	}
	e.want("decided before the second", broker.ErrConflict, func(u store.Unit) {
		u.RequireHolds(1)
		u.EraseBodies([]uint64{7})
	})
	e.must(func(u store.Unit) {
		u.RequireHolds(2)
		u.DropHold("h1")
	})
	expect("alice is free", 3, 2)
	e.must(func(u store.Unit) { u.DropHold("h1") })
	e.must(func(u store.Unit) { u.DropHold("h0") })
	expect("all are free", 5, 2, 7)
	if list, _, err := e.s.Holds(ctx); err != nil || len(list) != 0 {
		e.Errorf("Holds() = %v, %v, want none", list, err)
	}
	for _, s := range e.records(store.RecordQuery{}) {
		if s.Body == nil {
			e.Errorf("record %d lost its body", s.Seq)
		}
	}
}

// holdRace: however a hold and erasers meet, what is held once the hold is
// there keeps its body.
func holdRace(e *env) {
	var all []decisionlog.Record
	for i := range 30 {
		r := newRecord(name("r", i))
		r.Outcome = decisionlog.OutcomeRefused
		all = append(all, r)
	}
	e.log(all...)
	left := make(chan []bool, 1)
	e.race(31, func(i int, u store.Unit) {
		if i == 15 {
			if err := e.commit(func(u store.Unit) { u.PutHold(store.Hold{ID: "h", Filter: store.RecordQuery{Outcome: "refused"}}) }); err != nil {
				e.Errorf("put a hold: Commit() = %v", err)
			}
			var bodies []bool
			for _, s := range e.records(store.RecordQuery{Outcome: "refused"}) {
				bodies = append(bodies, s.Body != nil)
			}
			left <- bodies
		}
		due := e.overdue(store.Retain{Class: decisionlog.ClassStrangers, Before: moment(time.Hour), Now: moment(time.Hour), Max: i + 1})
		u.RequireHolds(due.Holds)
		u.EraseBodies(due.Seqs)
	})
	then := <-left
	for i, s := range e.records(store.RecordQuery{Outcome: "refused"}) {
		if now := s.Body != nil; now != then[i] {
			e.Errorf("record %d has a body: %v; when the hold was there: %v", s.Seq, now, then[i])
		}
	}
}
