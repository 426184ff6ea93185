package broker_test

import (
	"context"
	"errors"
	"reflect"
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
	if err := w.b.Activate(t.Context(), next, "dir", "", u, u.commit); err != nil || w.commits != 2 || w.epoch != 9 || w.b.Revision() != "rev-2" {
		t.Errorf("Activate() = %v, %d commits, epoch %d, revision %q", err, w.commits, w.epoch, w.b.Revision())
	}
	if !slices.Equal(u.epochs, []uint64{8}) {
		t.Errorf("RequireEpoch was called with %v, want 8: the record names the epoch that follows it", u.epochs)
	}
	if o := w.mustAdmit(); o.Revision != "rev-2" || o.Epoch != 9 || len(w.policy.queries()) != 0 {
		t.Errorf("Admit() after it = revision %q, epoch %d", o.Revision, o.Epoch)
	}
}

// Facts are swapped like policies: other facts are another activation of the
// same revision, in one commit with its record, and equal ones write nothing.
func TestActivateFacts(t *testing.T) {
	w := newWorld(t)
	digest := func(facts map[string]any) string {
		d, err := broker.FactsDigest(facts)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	activate := func(facts map[string]any) {
		t.Helper()
		w.policy = &fakePolicy{rev: "rev-1", settings: terms(), facts: facts}
		u := w.begin()
		if err := w.b.Activate(t.Context(), w.policy, "facts.yaml", "", u, u.commit); err != nil {
			t.Fatalf("Activate() = %v", err)
		}
	}
	if o := w.mustAdmit(); w.records[len(w.records)-1].FactsSHA256 != "" || w.facts != "" || o.Epoch != 8 {
		t.Errorf("a revision without facts: record %+v, stored %q, want no digest", w.records[len(w.records)-1], w.facts)
	}
	frozen := map[string]any{"freeze": true}
	activate(frozen)
	r := w.records[len(w.records)-1]
	if r.Event != "facts.changed" || r.Revision != "rev-1" || r.FactsSHA256 != digest(frozen) || r.Epoch != 9 || r.Detail != "facts.yaml" {
		t.Errorf("record = %+v, want facts.changed under epoch 9", r)
	}
	if w.commits != 3 || w.epoch != 9 || w.facts != digest(frozen) || w.revision != "rev-1" {
		t.Errorf("%d commits, epoch %d, facts %q", w.commits, w.epoch, w.facts)
	}
	o := w.mustAdmit()
	if r := w.later[len(w.later)-1]; o.asked[0].Input.Facts["freeze"] != true || r.FactsSHA256 != digest(frozen) || r.Epoch != 9 {
		t.Errorf("Admit() after it was asked with %v, record %+v", o.asked[0].Input.Facts, r)
	}
	// The same facts after a restart write nothing.
	w.b = w.newBroker()
	activate(map[string]any{"freeze": true})
	if w.commits != 3 || w.epoch != 9 {
		t.Errorf("the same facts: %d commits, epoch %d, want no more of them", w.commits, w.epoch)
	}
	if err := w.b.Activate(t.Context(), &fakePolicy{rev: "rev-1", facts: map[string]any{"f": func() {}}}, "test", "", w.begin(), nil); err == nil {
		t.Error("Activate() of facts that are no JSON = nil, want an error")
	}
}

// The bytes that decide are stored with the activation, and what this server
// offers: another offer is another activation of the same revision (G-04).
func TestActivateKeepsWhatDecides(t *testing.T) {
	w := newWorld(t)
	first := w.activation
	if first == nil || first.Revision != "rev-1" || !first.At.Equal(w.now) || !reflect.DeepEqual(first.Offer, w.cfg.Offer) || string(w.bundle.Files["p.rego"]) != "rev-1" {
		t.Fatalf("stored %+v, bundle %v, want rev-1 with its bytes and the offer", first, w.bundle)
	}
	w.cfg.Offer.Resources = append(w.cfg.Offer.Resources, broker.Resource{ID: "https://new.example/"})
	w.b = w.newBroker()
	r := w.records[len(w.records)-1]
	if r.Event != "config.reloaded" || r.Revision != "rev-1" || r.Epoch != 9 || w.epoch != 9 || !reflect.DeepEqual(w.activation.Offer, w.cfg.Offer) {
		t.Errorf("another offer: record %+v, stored %+v, want config.reloaded under epoch 9", r, w.activation)
	}
	w.b = w.newBroker()
	if w.epoch != 9 {
		t.Errorf("the same offer: epoch %d, want 9 still", w.epoch)
	}
	// A store from before bundles were kept gets one.
	w.activation = nil
	w.b = w.newBroker()
	if r := w.records[len(w.records)-1]; r.Event != "policy.activated" || w.activation == nil {
		t.Errorf("no activation stored: record %+v, stored %+v, want policy.activated", r, w.activation)
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
		err := w.b.Activate(t.Context(), next, "dir", "", w.begin(), func(context.Context) error { calls++; return test.commit })
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
			if err := w.b.Activate(t.Context(), p, "race", "", u, u.commit); err != nil {
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
