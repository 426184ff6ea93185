package storetest

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// aged are records of all classes, an hour between two of them, from the
// oldest on: their numbers are 1 to 8.
func aged() []decisionlog.Record {
	var all []decisionlog.Record
	for i, change := range []func(*decisionlog.Record){
		func(r *decisionlog.Record) { r.Outcome = decisionlog.OutcomeRefused },                   // 1, stranger
		func(r *decisionlog.Record) { r.Subject = "alice" },                                      // 2, person
		func(r *decisionlog.Record) { r.Outcome = decisionlog.OutcomeRefused },                   // 3, stranger
		func(r *decisionlog.Record) {},                                                           // 4, client
		func(r *decisionlog.Record) { r.Event, r.Actor = "client.revoked", "root" },              // 5, operator
		func(r *decisionlog.Record) { r.Event, r.Count = decisionlog.EventLogErased, 3 },         // 6, operator, stays
		func(r *decisionlog.Record) { r.Outcome, r.Subject = decisionlog.OutcomeRefused, "bob" }, // 7, person
		func(r *decisionlog.Record) { r.Outcome, r.Detail, r.Source = "refused", "", "" },        // 8, stranger without personal members
	} {
		r := newRecord(name("r", i+1))
		r.Timestamp = moment(time.Duration(i) * time.Hour)
		change(&r)
		all = append(all, r)
	}
	return all
}

// log appends records, each in a unit of its own.
func (e *env) log(all ...decisionlog.Record) {
	e.Helper()
	for _, r := range all {
		e.must(func(u store.Unit) { u.Append(r) })
	}
}

func (e *env) overdue(q store.Retain) store.Overdue {
	e.Helper()
	out, err := e.s.Overdue(context.Background(), q)
	if err != nil {
		e.Fatalf("Overdue(%+v) = %v", q, err)
	}
	return out
}

// bodiesErased: erasing takes body and salt, and nothing else of any record.
func bodiesErased(e *env) {
	e.log(aged()...)
	before := e.records(store.RecordQuery{})
	erase := func(seqs ...uint64) { e.must(func(u store.Unit) { u.EraseBodies(seqs) }) }
	erase(3, 1)
	erase(3)
	erase(0, 99)
	e.reopen()
	after := e.records(store.RecordQuery{})
	for i, was := range before {
		want := was
		if i == 0 || i == 2 {
			want.Body, want.Salt = nil, nil
		}
		if !reflect.DeepEqual(after[i], want) || after[i].LeafHash() != was.LeafHash() {
			e.Errorf("record %d = %+v, want %+v", i+1, after[i], want)
		}
	}
	if got := seqs(e.records(store.RecordQuery{Outcome: decisionlog.OutcomeRefused, ClientID: clientID})); !slices.Equal(got, []uint64{1, 3, 7, 8}) {
		e.Errorf("refused records found: %v, want 1, 3, 7 and 8", got)
	}
	e.want("erased and lost", broker.ErrConflict, func(u store.Unit) {
		u.EraseBodies([]uint64{2})
		u.RequireEpoch(e.epoch() + 1)
	})
	if got := e.records(store.RecordQuery{After: 1, Before: 3}); !reflect.DeepEqual(got, before[1:2]) {
		e.Errorf("record 2 after a commit that failed = %+v, want %+v", got, before[1])
	}
}

// overdueByClass: each class by its own age, to the moment; what is erased is
// not found again.
func overdueByClass(e *env) {
	e.log(aged()...)
	now := moment(100 * time.Hour)
	for _, tt := range []struct {
		name   string
		class  decisionlog.Class
		after  uint64
		before time.Duration
		want   []uint64
		place  uint64
	}{
		{"nothing is so old", decisionlog.ClassStrangers, 0, 0, nil, 0},
		{"the first one alone", decisionlog.ClassStrangers, 0, 1, []uint64{1}, 1},
		{"up to the third, itself outside", decisionlog.ClassStrangers, 0, 2 * time.Hour, []uint64{1}, 2},
		{"a moment later", decisionlog.ClassStrangers, 0, 2*time.Hour + 1, []uint64{1, 3}, 3},
		{"from a place on", decisionlog.ClassStrangers, 1, 50 * time.Hour, []uint64{3}, 8},
		{"at the end", decisionlog.ClassStrangers, 8, 50 * time.Hour, nil, 8},
		{"behind the end", decisionlog.ClassStrangers, 80, 50 * time.Hour, nil, 80},
		{"people", decisionlog.ClassPeople, 0, 50 * time.Hour, []uint64{2, 7}, 8},
		{"clients", decisionlog.ClassClients, 0, 50 * time.Hour, []uint64{4}, 8},
		{"operators, but for what was erased", decisionlog.ClassOperators, 0, 50 * time.Hour, []uint64{5}, 8},
	} {
		got := e.overdue(store.Retain{Class: tt.class, After: tt.after, Before: moment(tt.before), Now: now})
		if want := (store.Overdue{Seqs: tt.want, Place: tt.place}); !reflect.DeepEqual(got, want) {
			e.Errorf("%s: Overdue() = %+v, want %+v", tt.name, got, want)
		}
	}
	e.must(func(u store.Unit) { u.EraseBodies([]uint64{1, 2}) })
	for class, want := range map[decisionlog.Class][]uint64{decisionlog.ClassStrangers: {3}, decisionlog.ClassPeople: {7}} {
		if got := e.overdue(store.Retain{Class: class, Before: moment(50 * time.Hour), Now: now}); !slices.Equal(got.Seqs, want) {
			e.Errorf("%s after erasing: Overdue() = %v, want %v", class, got.Seqs, want)
		}
	}
}

// overdueBounded: a call returns at most so many and looks at a bounded number;
// going on from its place finds the rest, each once.
func overdueBounded(e *env) {
	const n = 10_000
	for from := 0; from < n; from += 500 {
		e.must(func(u store.Unit) {
			for i := range 500 {
				r := newRecord(name("r", from+i))
				if from < 5000 || i%100 == 7 {
					r.Outcome = decisionlog.OutcomeRefused
				}
				u.Append(r)
			}
		})
	}
	q := store.Retain{Class: decisionlog.ClassStrangers, Before: moment(time.Hour), Now: moment(time.Hour), Max: 700}
	found, calls := []uint64{}, 0
	for more := true; more; calls++ {
		got := e.overdue(q)
		if len(got.Seqs) > q.Max || got.More && got.Place == q.After {
			e.Fatalf("Overdue(%+v) = %d records, place %d, more %v", q, len(got.Seqs), got.Place, got.More)
		}
		found, q.After, more = append(found, got.Seqs...), got.Place, got.More
	}
	if !slices.IsSorted(found) || len(found) != 5000+50 || q.After != n || calls < 5050/700 {
		e.Errorf("%d records found in %d calls up to %d, want 5050 up to %d, in order", len(found), calls, q.After, n)
	}
	q.After, q.Max = 0, 0
	if got := e.overdue(q); len(got.Seqs) != 200 || !got.More {
		e.Errorf("Overdue() without a bound = %d, more %v, want 200", len(got.Seqs), got.More)
	}
}

// overdueAhead: records of a later time than now are as old as what follows
// them.
func overdueAhead(e *env) {
	record := func(at time.Duration) decisionlog.Record {
		r := newRecord("r")
		r.Outcome, r.Timestamp = decisionlog.OutcomeRefused, moment(at)
		return r
	}
	year := 365 * 24 * time.Hour
	e.log(record(0), record(year), record(year+1))
	q := store.Retain{Class: decisionlog.ClassStrangers, Before: moment(time.Hour), Now: moment(2 * time.Hour)}
	expect := func(name string, place uint64, want ...uint64) {
		e.Helper()
		if got := e.overdue(q); !slices.Equal(got.Seqs, want) || got.Place != place || got.More {
			e.Errorf("%s: Overdue() = %+v, want %v up to %d", name, got, want, place)
		}
	}
	expect("nothing follows", 1, 1)
	for range 600 {
		e.must(func(u store.Unit) { u.Append(record(2 * year)) })
	}
	e.log(record(90 * time.Minute))
	expect("what follows is young", 1, 1)
	q.Before, q.Now = moment(90*time.Minute+1), moment(2*time.Hour+1)
	var found []uint64
	for more := true; more; {
		got := e.overdue(q)
		if got.More && got.Place == q.After {
			e.Fatalf("Overdue(%+v) does not go on", q)
		}
		found, q.After, more = append(found, got.Seqs...), got.Place, got.More
	}
	if len(found) != 604 || found[603] != 604 {
		e.Errorf("%d records found, want all 604", len(found))
	}
	q.After, q.Now = 0, moment(3*year)
	expect("their time has come, and they are young", 1, 1)
}

// oldestInput: the first record whose input is kept, from a place on.
func oldestInput(e *env) {
	all := aged()
	for _, i := range []int{2, 4} {
		all[i].Input = json.RawMessage(`{"user":{"sub":"alice"}}`)
	}
	e.log(all...)
	expect := func(name string, after, place uint64, at time.Time) {
		e.Helper()
		got, err := e.s.OldestInput(context.Background(), after)
		if want := (store.Oldest{Place: place, At: at}); err != nil || !got.At.Equal(at) || got.Place != place || got.More {
			e.Errorf("%s: OldestInput(%d) = %+v, %v, want %+v", name, after, got, err, want)
		}
	}
	expect("from the start", 0, 2, all[2].Timestamp)
	expect("from its place", 2, 2, all[2].Timestamp)
	e.must(func(u store.Unit) { u.EraseBodies([]uint64{3}) })
	expect("the first is erased", 2, 4, all[4].Timestamp)
	e.must(func(u store.Unit) { u.EraseBodies([]uint64{5}) })
	expect("all are erased", 4, 8, time.Time{})
	expect("behind the end", 80, 80, time.Time{})
}
