package broker_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

func TestActivate(t *testing.T) {
	w := newWorld(t)
	if w.commits != 1 || w.epoch != 8 || w.revision != "rev-1" || len(w.records) != 1 || w.b.Revision() != "rev-1" {
		t.Fatalf("first activation: %d commits, epoch %d, revision %q", w.commits, w.epoch, w.revision)
	}
	r := w.records[0]
	if r.Event != "policy.activated" || r.Outcome != decisionlog.OutcomeDone || r.Revision != "rev-1" || r.Epoch != 8 || r.Engine != "fake 1" || r.Detail != "test" {
		t.Errorf("record = %+v", r)
	}
	// The same revision after a restart writes nothing.
	w.b = w.newBroker()
	if w.commits != 1 || w.epoch != 8 || w.b.Revision() != "rev-1" {
		t.Errorf("after a restart: %d commits, epoch %d, revision %q, want no more of them", w.commits, w.epoch, w.b.Revision())
	}
	next := &fakePolicy{rev: "rev-2", settings: terms()}
	u := w.begin()
	if err := w.b.Activate(t.Context(), next, "dir", u, u.commit); err != nil || w.commits != 2 || w.epoch != 9 || w.b.Revision() != "rev-2" {
		t.Errorf("Activate() = %v, %d commits, epoch %d, revision %q", err, w.commits, w.epoch, w.b.Revision())
	}
	if !slices.Equal(u.epochs, []uint64{8}) {
		t.Errorf("RequireEpoch was called with %v, want 8: the record names the epoch that follows it", u.epochs)
	}
	if o := w.mustAdmit(); o.Revision != "rev-2" || o.Epoch != 9 || len(w.policy.queries()) != 0 {
		t.Errorf("Admit() after it = revision %q, epoch %d", o.Revision, o.Epoch)
	}
}

func TestActivateThatFailsKeepsTheOldRevision(t *testing.T) {
	for _, test := range []struct {
		name    string
		readErr error
		commit  error
	}{
		{name: "store", readErr: errors.New("down")},
		{name: "commit", commit: errors.New("disk full")},
	} {
		w := newWorld(t)
		next := &fakePolicy{rev: "rev-2", settings: terms()}
		w.readErr = test.readErr
		calls := 0
		err := w.b.Activate(t.Context(), next, "dir", w.begin(), func(context.Context) error { calls++; return test.commit })
		w.readErr = nil
		if err == nil || w.b.Revision() != "rev-1" || w.epoch != 8 || calls > 1 {
			t.Errorf("%s: Activate() = %v, revision %q, epoch %d, %d commits, want an error and the old ones", test.name, err, w.b.Revision(), w.epoch, calls)
		}
		if o := w.mustAdmit(); o.Revision != "rev-1" || len(next.queries()) != 0 {
			t.Errorf("%s: Admit() was answered by %q", test.name, o.Revision)
		}
	}
}

// Policy and epoch are read as they belong together: whatever is decided under
// a revision and committed, was committed while that revision was in force.
func TestAdmitWhileActivating(t *testing.T) {
	w := newWorld(t)
	epochOf := sync.Map{}
	epochOf.Store("rev-1", w.epoch)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 200 {
			p := &fakePolicy{rev: "rev-" + string(rune('A'+i%26)) + string(rune('a'+i/26)), settings: terms()}
			epochOf.Store(p.rev, uint64(9+i))
			u := w.begin()
			if err := w.b.Activate(t.Context(), p, "race", u, u.commit); err != nil {
				t.Errorf("Activate() = %v", err)
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 200 {
				u := &quietUnit{unit: w.begin()}
				a, err := w.b.Admit(t.Context(), u, w.request)
				if err != nil {
					t.Errorf("Admit() = %v", err)
					return
				}
				if want, _ := epochOf.Load(a.Revision); want != a.Epoch {
					t.Errorf("Admit() under %s = epoch %d, want %d", a.Revision, a.Epoch, want)
				}
				if !u.Empty() {
					if err := u.commit(t.Context()); err != nil && err != broker.ErrConflict {
						t.Errorf("commit = %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// quietUnit is a unit; the name keeps it apart in a data race report.
type quietUnit struct{ *unit }
