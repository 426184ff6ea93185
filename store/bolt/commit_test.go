package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// TestCounters: a unit is one commit, units that wait share a sync, and what
// writes nothing costs none.
func TestCounters(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	commit := func(stage func(store.Unit)) error {
		u := s.Begin()
		stage(u)
		return s.Commit(context.Background(), u)
	}
	for _, test := range []struct {
		name           string
		stage          func(store.Unit)
		sentinel       error
		commits, syncs uint64
	}{
		{"nothing", func(u store.Unit) {}, nil, 0, 0},
		{"precondition alone", func(u store.Unit) { u.RequireEpoch(0) }, nil, 0, 0},
		{"client and record", func(u store.Unit) {
			u.CreateClient(broker.Client{ID: "c", Incarnation: 1})
			u.Append(decisionlog.Record{DecisionID: "d"})
		}, nil, 1, 1},
		{"lost", func(u store.Unit) { u.CreateClient(broker.Client{ID: "c"}) }, broker.ErrConflict, 0, 0},
		{"extension backwards", func(u store.Unit) { u.ExtendClient("c", 1, at.AddDate(-3000, 0, 0)) }, nil, 1, 0},
	} {
		commits, syncs := s.Commits(), s.Syncs()
		if err := commit(test.stage); !errors.Is(err, test.sentinel) {
			t.Errorf("%s: Commit() = %v, want %v", test.name, err, test.sentinel)
		}
		if c, n := s.Commits()-commits, s.Syncs()-syncs; c != test.commits || n != test.syncs {
			t.Errorf("%s: %d commits, %d syncs, want %d, %d", test.name, c, n, test.commits, test.syncs)
		}
	}
	commits, syncs := s.Commits(), s.Syncs()
	const writers, each = 64, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := commit(func(u store.Unit) { u.PutCode(store.Code{Hash: fmt.Sprint(w, " ", i)}) }); err != nil {
					t.Errorf("Commit() = %v", err)
				}
			}
		})
	}
	wg.Wait()
	if c, n := s.Commits()-commits, s.Syncs()-syncs; c != writers*each || n == 0 || n > c/2 {
		t.Errorf("64 writers: %d commits in %d syncs, want 320 in half as many or fewer", c, n)
	}
}

// TestCloseWhileCommitting: every unit is answered, and what was answered
// with nil is there.
func TestCloseWhileCommitting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	const writers = 300
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			u := s.Begin()
			u.PutCode(store.Code{Hash: fmt.Sprint(w)})
			errs[w] = s.Commit(context.Background(), u)
		})
		if w == writers/2 {
			wg.Go(func() {
				if err := s.Close(); err != nil {
					t.Errorf("Close() = %v", err)
				}
			})
		}
	}
	wg.Wait()
	s = open(t, path)
	for w, err := range errs {
		_, ok, readErr := s.Begin().Code(context.Background(), fmt.Sprint(w))
		if readErr != nil || ok != (err == nil) || (err != nil && !errors.Is(err, store.ErrUnavailable)) {
			t.Errorf("unit %d: Commit() = %v, and the row is there: %v, %v", w, err, ok, readErr)
		}
	}
}

// TestCanceled: a canceled unit is either withdrawn or answered truly.
func TestCanceled(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	var wg sync.WaitGroup
	for w := range 100 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			hash := fmt.Sprint(w)
			u := s.Begin()
			u.PutCode(store.Code{Hash: hash})
			go cancel()
			err := s.Commit(ctx, u)
			_, ok, readErr := s.Begin().Code(context.Background(), hash)
			if readErr != nil || ok != (err == nil) || (err != nil && !errors.Is(err, context.Canceled)) {
				t.Errorf("unit %d: Commit() = %v, and the row is there: %v, %v", w, err, ok, readErr)
			}
		})
	}
	wg.Wait()
}

// TestCommitted: the observer is told of each transaction before its units are
// answered, with how many shared it and whether it took effect.
func TestCommitted(t *testing.T) {
	var told []bolt.Committed
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Committed: func(c bolt.Committed) { told = append(told, c) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, id := range []string{"c", "c"} { // the second one loses its precondition
		u := s.Begin()
		u.CreateClient(broker.Client{ID: id, Incarnation: 1})
		if err := s.Commit(t.Context(), u); err != nil && !errors.Is(err, broker.ErrConflict) {
			t.Fatal(err)
		}
	}
	if len(told) != 2 {
		t.Fatalf("told of %d transactions, want 2", len(told))
	}
	for i, c := range told {
		if c.Units != 1 || c.Took <= 0 || c.Err != nil {
			t.Errorf("transaction %d: %+v, want one unit, some time, no error", i, c)
		}
	}
}
