package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

func epoch(e *env) {
	first := e.epoch()
	if rev, facts, err := e.s.Begin().ActiveRevision(context.Background()); err != nil || rev+facts != "" {
		e.Errorf("new store: ActiveRevision() = %q, %q, %v, want none", rev, facts, err)
	}
	for i := range 3 {
		rev := name("r", i)
		e.must(func(u store.Unit) { u.Activate(broker.Activation{Revision: rev, Facts: "f-" + rev}, broker.Bundle{}) })
		e.reopen()
		got, facts, err := e.s.Begin().ActiveRevision(context.Background())
		if err != nil || got != rev || facts != "f-"+rev || e.epoch() != first+uint64(i+1) {
			e.Errorf("after %d activations: revision %q, facts %q, %v, epoch %d, want %q, %d", i+1, got, facts, err, e.epoch(), rev, first+uint64(i+1))
		}
	}
	e.must(func(u store.Unit) {
		// Judged before the unit's own activation.
		u.Activate(broker.Activation{Revision: "r9"}, broker.Bundle{})
		u.RequireEpoch(first + 3)
	})
	e.want("old epoch", broker.ErrConflict, func(u store.Unit) { u.RequireEpoch(first) })
}

func epochRerun(e *env) {
	step := func(meanwhile func()) error {
		u := e.s.Begin()
		n, err := u.Epoch(context.Background())
		if err != nil {
			return err
		}
		u.RequireEpoch(n)
		u.CreateClient(newClient(clientID, 1))
		meanwhile()
		return e.s.Commit(context.Background(), u)
	}
	err := step(func() { e.must(func(u store.Unit) { u.Activate(broker.Activation{Revision: "r"}, broker.Bundle{}) }) })
	if !errors.Is(err, broker.ErrConflict) {
		e.Errorf("epoch raised meanwhile: Commit() = %v, want ErrConflict", err)
	}
	if _, ok := e.client(clientID); ok {
		e.Error("the failed unit left a client")
	}
	if err := step(func() {}); err != nil {
		e.Errorf("run again: Commit() = %v, want nil", err)
	}
}

// epochRace lets deciders race with activations; the log then shows, in its
// own order, that nothing was committed under an epoch that had passed.
func epochRace(e *env) {
	first := e.epoch()
	var wg sync.WaitGroup
	var conflicts sync.Map
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				u := e.s.Begin()
				n, err := u.Epoch(context.Background())
				if err != nil {
					e.Errorf("Epoch() = %v", err)
				}
				r := newRecord(fmt.Sprintf("d%d-%d", w, i))
				r.Epoch = n
				u.RequireEpoch(n)
				u.Append(r)
				if err := e.s.Commit(context.Background(), u); errors.Is(err, broker.ErrConflict) {
					conflicts.Store(r.DecisionID, true)
				} else if err != nil {
					e.Errorf("Commit() = %v", err)
				}
			}
		})
	}
	for i := range 10 {
		e.must(func(u store.Unit) {
			r := newRecord(name("activation", i))
			r.Epoch = first + uint64(i)
			r.Event = decisionlog.EventPolicyActivated
			// Whatever raises it: an activation, a block or a pin, and their end.
			switch i % 5 {
			case 0:
				u.Activate(broker.Activation{Revision: name("r", i)}, broker.Bundle{})
			case 1:
				u.PutBlock(broker.Block{Kind: broker.BlockHost, Value: "a.example"})
			case 2:
				u.PutPin(broker.Pin{ID: clientID})
			case 3:
				u.DropPin(clientID)
			case 4:
				u.DropBlock(broker.BlockHost, "a.example")
			}
			u.Append(r)
		})
	}
	wg.Wait()
	now := e.epochByLog(first, &conflicts)
	if got := e.epoch(); got != first+10 || now != got {
		e.Errorf("epoch %d after ten activations from %d, by the log %d", got, first, now)
	}
}

// epochByLog follows the epoch through the log and expects every record to
// stand where its epoch was in force, and none of a unit that lost.
func (e *env) epochByLog(first uint64, conflicts *sync.Map) uint64 {
	e.Helper()
	now := first
	for _, s := range e.records(store.RecordQuery{}) {
		r, err := s.Record()
		if err != nil {
			e.Fatal(err)
		}
		if r.Epoch != now {
			e.Errorf("record %d was decided under epoch %d and committed under %d", s.Seq, r.Epoch, now)
		}
		if _, lost := conflicts.Load(r.DecisionID); lost {
			e.Errorf("record %d belongs to a unit that lost", s.Seq)
		}
		if r.Event == decisionlog.EventPolicyActivated {
			now++
		}
	}
	return now
}
