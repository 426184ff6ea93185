package main

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// retained is a retainer of a store of its own, whose clock stands still.
type retained struct {
	*retainer
	t     *testing.T
	s     *bolt.Store
	clock time.Time
	runs  time.Duration
	lines strings.Builder
}

// newRetained keeps the bodies of strangers for 90 days, those of people for
// 400.
func newRetained(t *testing.T) *retained {
	t.Helper()
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(t.TempDir(), "store.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k := &retained{t: t, s: s, clock: decided}
	k.retainer = &retainer{
		store: s, now: func() time.Time { return k.clock }, ran: func() time.Duration { return k.runs }, log: zerolog.New(&k.lines),
		ages:   map[decisionlog.Class]time.Duration{decisionlog.ClassStrangers: 90 * 24 * time.Hour, decisionlog.ClassPeople: 400 * 24 * time.Hour},
		record: func() decisionlog.Record { return decisionlog.Record{Revision: "sha256:rev"} },
	}
	return k
}

// add appends a refusal of that age; with a subject, of a person.
func (k *retained) add(age time.Duration, subject string) {
	k.t.Helper()
	k.commit(func(u store.Unit) {
		u.Append(decisionlog.Record{
			DecisionID: "d", Timestamp: k.clock.Add(-age), Event: "admission.decided", Outcome: "refused", Subject: subject,
			ClientID: exampleClient, Source: "192.0.2.99", Input: json.RawMessage(`{"a":1}`),
		})
	})
}

func (k *retained) commit(stage func(store.Unit)) {
	k.t.Helper()
	u := k.s.Begin()
	stage(u)
	if err := k.s.Commit(k.t.Context(), u); err != nil {
		k.t.Fatal(err)
	}
}

// after lets time pass and takes a round.
func (k *retained) after(d time.Duration) {
	k.clock, k.runs = k.clock.Add(d), k.runs+d
	k.round(k.t.Context())
}

// erased are the records without a body.
func (k *retained) erased() (seqs []uint64) {
	k.t.Helper()
	list, err := k.s.Records(k.t.Context(), store.RecordQuery{})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, s := range list {
		if s.Body == nil {
			seqs = append(seqs, s.Seq)
		}
	}
	return seqs
}

// told are the records of erasures.
func (k *retained) told() (out []string) {
	k.t.Helper()
	list, err := k.s.Records(k.t.Context(), store.RecordQuery{Event: decisionlog.EventLogErased})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, s := range list {
		r, err := s.Record()
		if err != nil || r.Count == 0 {
			k.t.Errorf("record %d of an erasure: %+v, %v", s.Seq, r, err)
		}
		out = append(out, r.Detail)
	}
	return out
}

const day = 24 * time.Hour

// G-01: bodies go when their class says so, in the commit of the record that
// says so, once; what is not past its age stays.
func TestRetainErasesByClassAndAge(t *testing.T) {
	k := newRetained(t)
	for _, age := range []time.Duration{500 * day, 100 * day, 90*day + 1, 90 * day, day} {
		k.add(age, "")
		k.add(age, "pseudonym-of-one-22chr")
	}
	k.begin(t.Context())
	k.round(t.Context())
	if got := k.erased(); !slices.Equal(got, []uint64{1, 2, 3, 5}) {
		t.Errorf("erased: %v, want those of strangers past 90 days and of people past 400", got)
	}
	want := []string{"people older than 400d: the bodies of 1 record, from 2 to 2", "strangers older than 90d: the bodies of 3 records, from 1 to 5"}
	if got := k.told(); !slices.Equal(got, want) {
		t.Errorf("records of erasures: %q, want %q", got, want)
	}
	before := k.s.Syncs()
	k.after(0)
	if got := k.s.Syncs() - before; got != 0 {
		t.Errorf("a round without anything to do took %d commits", got)
	}
	k.after(time.Minute)
	if got := k.erased(); !slices.Equal(got, []uint64{1, 2, 3, 5, 7}) {
		t.Errorf("erased a minute later: %v, want the next of strangers", got)
	}
	k.ages = nil
	k.after(1000 * day)
	if got := k.erased(); len(got) != 5 {
		t.Errorf("erased without an age: %v", got)
	}
	if k.lines.Len() > 0 {
		t.Errorf("the log says: %s", k.lines.String())
	}
}

// Each step has its record, and goes on where the one before ended, also after
// a kill between two of them.
func TestRetainGoesOnInSteps(t *testing.T) {
	k := newRetained(t)
	for range 3 {
		k.commit(func(u store.Unit) {
			for range 150 {
				u.Append(decisionlog.Record{DecisionID: "d", Timestamp: k.clock.Add(-100 * day), Event: "request.refused", Outcome: "refused", Source: "192.0.2.99"})
			}
		})
	}
	k.add(0, "")
	k.begin(t.Context())
	more, damage, err := k.step(t.Context(), decisionlog.ClassStrangers, 90*day)
	if !more || damage != nil || err != nil || len(k.erased()) != 200 {
		t.Fatalf("step() = %v, %v, %v with %d erased, want 200 and more", more, damage, err, len(k.erased()))
	}
	k.retainer = &retainer{store: k.s, now: k.now, ran: k.ran, ages: k.ages, record: k.record, log: k.log} // as after a restart
	k.begin(t.Context())
	k.round(t.Context())
	want := []string{
		"strangers older than 90d: the bodies of 200 records, from 1 to 200", "strangers older than 90d: the bodies of 200 records, from 201 to 400",
		"strangers older than 90d: the bodies of 50 records, from 401 to 450",
	}
	if got := k.told(); !slices.Equal(got, want) || len(k.erased()) != 450 {
		t.Errorf("records of erasures: %q, %d erased, want %q", got, len(k.erased()), want)
	}
}

// A hold that is put while a step is under way wins; what it held goes when it
// is dropped, by the places that dropping sets back.
func TestRetainLosesAgainstHold(t *testing.T) {
	k := newRetained(t)
	k.add(100*day, "")
	k.add(100*day, "")
	k.add(0, "")
	k.begin(t.Context())
	h := store.Hold{ID: "h", Filter: store.RecordQuery{ClientID: exampleClient}}
	meddled := meddling{Store: k.s, before: func() { k.commit(func(u store.Unit) { u.PutHold(h) }) }}
	k.store = &meddled
	k.round(t.Context())
	if got := k.erased(); len(got) != 0 || meddled.before != nil {
		t.Errorf("erased: %v, want none: the hold was put before the commit", got)
	}
	if k.lines.Len() > 0 {
		t.Errorf("the log says: %s", k.lines.String())
	}
	k.commit(func(u store.Unit) { u.DropHold("h") })
	k.round(t.Context())
	if got := k.erased(); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("erased after the hold was dropped: %v, want 1 and 2", got)
	}
}

// meddling is a store in which something happens between what a step looked
// at and its commit, once.
type meddling struct {
	store.Store
	before func()
}

func (m *meddling) Commit(ctx context.Context, u store.Unit) error {
	if m.before != nil {
		m.before()
		m.before = nil
	}
	return m.Store.Commit(ctx, u)
}

// A hold that is dropped between the place that a step begins at and what it
// finds does not leave behind what it held.
func TestRetainLosesAgainstDroppedHold(t *testing.T) {
	k := newRetained(t)
	for _, age := range []time.Duration{120 * day, 100 * day, 0} {
		k.add(age, "")
	}
	k.commit(func(u store.Unit) {
		u.PutHold(store.Hold{ID: "h", Filter: store.RecordQuery{Until: k.clock.Add(-110 * day)}})
	})
	k.begin(t.Context())
	k.round(t.Context())
	if got := k.erased(); !slices.Equal(got, []uint64{2}) {
		t.Fatalf("erased: %v, want what is not held", got)
	}
	k.store = &lateLook{Store: k.s, before: func() {
		k.commit(func(u store.Unit) {
			u.DropHold("h")
			u.PutCursor(store.RetainPlace(decisionlog.ClassStrangers), 0)
		})
	}}
	k.after(91 * day)
	if got := k.erased(); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("erased: %v, want what was held too", got)
	}
}

// lateLook is a store in which something happens before a step looks for what
// is overdue of strangers, once.
type lateLook struct {
	store.Store
	before func()
}

func (l *lateLook) Overdue(ctx context.Context, q store.Retain) (store.Overdue, error) {
	if l.before != nil && q.Class == decisionlog.ClassStrangers {
		l.before()
		l.before = nil
	}
	return l.Store.Overdue(ctx, q)
}

// While the clock may be wrong nothing is erased, and the status says so.
func TestRetainMistrustsClock(t *testing.T) {
	for name, tt := range map[string]struct {
		newest  time.Duration // age of the newest record at the start
		jump    time.Duration // of the clock, beside the time that the process runs
		waits   string        // while it waits; empty: it does not
		settled bool          // a day later it erases
	}{
		"right":                      {time.Hour, 0, "", true},
		"set right a little":         {time.Hour, 50 * time.Minute, "", true},
		"jumped":                     {time.Hour, 365 * day, "may be wrong", true},
		"long after the last record": {2 * day, 0, "may be wrong", true},
		"before the newest record":   {-2 * time.Hour, 0, "later time than the clock", true},
		"far before the newest":      {-365 * day, 0, "later time than the clock", false},
		"jumped back before newest":  {time.Hour, -2 * day, "later time than the clock", false},
	} {
		t.Run(name, func(t *testing.T) {
			k := newRetained(t)
			k.add(100*day, "")
			k.add(tt.newest, "")
			k.begin(t.Context())
			k.clock = k.clock.Add(tt.jump)
			k.after(time.Minute)
			status := map[string]any{}
			k.status(status)
			waits, _ := status["retain_waits"].(string)
			if tt.waits == "" && waits != "" || !strings.Contains(waits, tt.waits) || len(k.erased()) > 0 != (tt.waits == "") {
				t.Errorf("retain_waits = %q with %v erased, want %q", waits, k.erased(), tt.waits)
			}
			if status["retain_people"] != "400d" || status["retain_strangers"] != "90d" {
				t.Errorf("status = %v, want the ages", status)
			}
			k.after(time.Minute)
			if n := strings.Count(k.lines.String(), "log.erase_waits"); n != map[bool]int{true: 1}[tt.waits != ""] {
				t.Errorf("it is told %d times: %s", n, k.lines.String())
			}
			for range 24 * 60 { // rounds are a minute apart
				k.after(time.Minute)
			}
			if got := len(k.erased()) > 0; got != tt.settled {
				t.Errorf("a day later it erases: %v, want %v", got, tt.settled)
			}
		})
	}
}

// A store that cannot be written is told, and tried again.
func TestRetainTellsTrouble(t *testing.T) {
	k := newRetained(t)
	k.add(100*day, "")
	k.add(0, "")
	k.begin(t.Context())
	k.store = broken{k.s}
	k.round(t.Context())
	if got := k.lines.String(); !strings.Contains(got, "log.erase_failing") || !strings.Contains(got, "no room") {
		t.Errorf("the log says %q, want what is wrong", got)
	}
	k.store = k.s
	k.round(t.Context())
	if got := k.erased(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("erased: %v, want 1", got)
	}
}

// broken is a store without room.
type broken struct{ store.Store }

func (broken) Commit(context.Context, store.Unit) error { return errors.New("no room") }

// G-04: policies and documents go once no kept input is about them; a hold
// keeps them.
func TestRetainSweepsMaterial(t *testing.T) {
	k := newRetained(t)
	k.add(500*day, "")
	swept := &sweeping{Store: k.s}
	k.store = swept
	k.begin(t.Context())
	expect := func(name string, d time.Duration, want ...time.Time) {
		t.Helper()
		swept.at = nil
		k.after(d)
		if !slices.EqualFunc(swept.at, want, time.Time.Equal) {
			t.Errorf("%s: swept up to %v, want %v", name, swept.at, want)
		}
	}
	first := k.clock.Add(-500 * day)
	expect("the first round", 0, first)
	expect("a minute later", time.Minute)
	k.commit(func(u store.Unit) { u.PutHold(store.Hold{ID: "h", Filter: store.RecordQuery{Until: first.Add(1)}}) })
	k.add(0, "")
	second := k.clock
	expect("the clock has settled", 25*time.Hour, first)
	expect("the hold keeps it", 25*time.Hour, first)
	k.commit(func(u store.Unit) { u.DropHold("h") })
	expect("it is erased, and swept in the next hour", 30*time.Minute)
	expect("the next is the oldest", 30*time.Minute, second)
	k.clock = k.clock.Add(-10 * day)
	expect("by a clock that is behind", time.Hour)
	k.clock = k.clock.Add(10 * day)
	k.commit(func(u store.Unit) { u.EraseBodies([]uint64{2, 3}) })
	expect("no input is kept", time.Hour, k.clock.Add(time.Hour))
}

// sweeping notes up to when policies and documents are swept.
type sweeping struct {
	store.Store
	at []time.Time
}

func (s *sweeping) SweepMaterial(_ context.Context, oldest time.Time) (int, error) {
	s.at = append(s.at, oldest)
	return 0, nil
}
