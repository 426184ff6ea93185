package main

import (
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store/bolt"
)

// TestRetainKilled (G-01): a program that is killed amid erasing goes on where it
// was. Each body that is gone was due and has its record, none that is held goes,
// and in the end every one that is due is gone.
func TestRetainKilled(t *testing.T) {
	t.Parallel()
	retainKilled(t, 3, 8)
}

// retainKilled kills a program so many times while it has so many times the
// records of putAged to go through.
func retainKilled(t *testing.T, kills, times int) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	s := newSite(t)
	s.add("decision_log:\n  retain: {strangers: 1h, people: 400d}\n")
	st, err := bolt.Open(bolt.Config{Path: filepath.Join(s.dir, "guestlist.db")})
	orFail(t, err)
	want := putAged(t, st, times)
	orFail(t, st.Close())
	var gone []int
	for i := range kills {
		p := s.serve()
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		p.stop(syscall.SIGKILL)
		l := s.ledger()
		for _, v := range l.Violations() {
			t.Errorf("seed %d, kill %d: %s", seed, i+1, v)
		}
		for _, seq := range l.Bare {
			if _, isDue := slices.BinarySearch(want, seq); !isDue {
				t.Errorf("seed %d, kill %d: the body of record %d is gone, and was held or not due", seed, i+1, seq)
			}
		}
		gone = append(gone, len(l.Bare))
	}
	p := s.serve()
	s.awaitBodiesGone(len(want))
	p.stop(syscall.SIGTERM)
	l := s.ledger()
	for _, v := range l.Violations() {
		t.Errorf("seed %d, in the end: %s", seed, v)
	}
	if !slices.Equal(l.Bare, want) {
		t.Errorf("seed %d: %d bodies are gone, want the %d that are due", seed, len(l.Bare), len(want))
	}
	t.Logf("seed %d: %d bodies are due, gone after each kill: %d", seed, len(want), gone)
}

// awaitBodiesGone waits until records tell that so many bodies went.
func (s *site) awaitBodiesGone(want int) {
	s.t.Helper()
	op := admin.NewClient(filepath.Join(s.dir, "admin.sock"))
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		list, err := op.Records(s.t.Context(), admin.RecordFilter{Event: decisionlog.EventLogErased, Limit: 1000})
		orFail(s.t, err)
		gone := 0
		for _, raw := range list {
			var r struct{ Count int }
			orFail(s.t, json.Unmarshal(raw, &r))
			gone += r.Count
		}
		if gone >= want {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d bodies are gone after a minute, want %d", gone, want)
		}
	}
}
