package storetest

import (
	"context"
	"math"
	"reflect"
	"sync"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// seqs are the sequence numbers of a list.
func seqs(list []decisionlog.Sealed) []uint64 {
	var n []uint64
	for _, s := range list {
		n = append(n, s.Seq)
	}
	return n
}

func recordSeq(e *env) {
	e.must(func(u store.Unit) { u.PutCode(newCode("h")) })
	won, spent, _ := e.race(40, func(i int, u store.Unit) {
		u.Append(newRecord(name("a", i)))
		u.Append(newRecord(name("b", i)))
		if i%4 == 0 {
			u.SpendCode("h", moment(0)) // nine of ten lose, and take no number
		}
	})
	if won != 31 || spent != 9 {
		e.Fatalf("%d won, %d lost, want 31, 9", won, spent)
	}
	e.reopen()
	e.must(func(u store.Unit) { u.Append(newRecord("last")) })
	list := e.records(store.RecordQuery{})
	if len(list) != 63 {
		e.Fatalf("%d records, want 63", len(list))
	}
	for i, s := range list {
		r, err := s.Record()
		if err != nil || s.Seq != uint64(i+1) {
			e.Fatalf("record %d has number %d, %v", i+1, s.Seq, err)
		}
		// Records of one unit stay together, in the order of staging.
		if r.DecisionID[0] == 'b' {
			before, _ := list[i-1].Record()
			if before.DecisionID != "a"+r.DecisionID[1:] {
				e.Errorf("record %s follows %s", r.DecisionID, before.DecisionID)
			}
		}
	}
	want := newRecord("last")
	if got, err := list[62].Record(); err != nil || !reflect.DeepEqual(got, want) {
		e.Errorf("Record() = %+v, %v, want %+v", got, err, want)
	}
}

// queried are the records that queries look for, as changes of a plain one.
func queried() []func(*decisionlog.Record) {
	return []func(*decisionlog.Record){
		func(r *decisionlog.Record) {},
		func(r *decisionlog.Record) { r.ClientID, r.RequestID = "https://other.example/c", "req-1" },
		func(r *decisionlog.Record) { r.GrantID, r.RequestID = "g", "req-1" },
		func(r *decisionlog.Record) { r.Event = decisionlog.EventTokenIssued; r.GrantID = "g" },
		func(r *decisionlog.Record) { r.Outcome, r.Reason = decisionlog.OutcomeRefused, "policy_denied" },
		func(r *decisionlog.Record) { r.ClientID = clientID + "x"; r.DecisionID = "chosen" },
		func(r *decisionlog.Record) {
			r.ClientID, r.RequestID, r.LastRequestID, r.Count = "", "first", "last", 9
		},
		func(r *decisionlog.Record) { r.ClientID, r.RequestID, r.LastRequestID, r.Count = "", "last", "last", 1 },
	}
}

func recordQueries(e *env) {
	for i, change := range queried() {
		r := newRecord(name("d", i))
		r.Timestamp = moment(time.Duration(i) * time.Minute)
		change(&r)
		e.must(func(u store.Unit) { u.Append(r) })
	}
	for _, test := range []struct {
		name string
		q    store.RecordQuery
		want []uint64
	}{
		{"all", store.RecordQuery{}, []uint64{1, 2, 3, 4, 5, 6, 7, 8}},
		{"newest", store.RecordQuery{Newest: true}, []uint64{8, 7, 6, 5, 4, 3, 2, 1}},
		{"newest two", store.RecordQuery{Newest: true, Limit: 2}, []uint64{8, 7}},
		{"first two", store.RecordQuery{Limit: 2}, []uint64{1, 2}},
		{"behind 6", store.RecordQuery{After: 6}, []uint64{7, 8}},
		{"behind 6, newest", store.RecordQuery{After: 6, Newest: true}, []uint64{8, 7}},
		{"behind all", store.RecordQuery{After: 8}, nil},
		// H-10: the largest number that --after takes has none behind it, and is no damaged file.
		{"behind the largest", store.RecordQuery{After: math.MaxUint64}, nil},
		{"behind the largest, newest", store.RecordQuery{After: math.MaxUint64, Newest: true}, nil},
		{"request", store.RecordQuery{RequestID: "req-1"}, []uint64{2, 3}},
		{"request, newest", store.RecordQuery{RequestID: "req-1", Newest: true}, []uint64{3, 2}},
		{"request, behind 2", store.RecordQuery{RequestID: "req-1", After: 2}, []uint64{3}},
		{"request, behind 2, newest", store.RecordQuery{RequestID: "req-1", After: 2, Newest: true}, []uint64{3}},
		{"request unknown", store.RecordQuery{RequestID: "req"}, nil},
		{"request unknown, newest", store.RecordQuery{RequestID: "req-1x", Newest: true}, nil},
		{"first request of a summary", store.RecordQuery{RequestID: "first"}, []uint64{7}},
		{"last request of a summary", store.RecordQuery{RequestID: "last"}, []uint64{7, 8}},
		{"last request of a summary, newest", store.RecordQuery{RequestID: "last", Newest: true, Limit: 1}, []uint64{8}},
		{"last request of a summary, with another member", store.RecordQuery{RequestID: "last", DecisionID: "d006"}, []uint64{7}},
		{"decision", store.RecordQuery{DecisionID: "chosen"}, []uint64{6}},
		{"decision, newest", store.RecordQuery{DecisionID: "d000", Newest: true}, []uint64{1}},
		{"client", store.RecordQuery{ClientID: clientID}, []uint64{1, 3, 4, 5}},
		{"client, newest two", store.RecordQuery{ClientID: clientID, Newest: true, Limit: 2}, []uint64{5, 4}},
		{"grant", store.RecordQuery{GrantID: "g"}, []uint64{3, 4}},
		{"event", store.RecordQuery{Event: decisionlog.EventTokenIssued}, []uint64{4}},
		{"summaries", store.RecordQuery{Summaries: true}, []uint64{7, 8}},
		{"outcome", store.RecordQuery{Outcome: decisionlog.OutcomeRefused}, []uint64{5}},
		{"reason", store.RecordQuery{Reason: "policy_denied", Newest: true, Limit: 1}, []uint64{5}},
		{"since is at or after", store.RecordQuery{Since: moment(4 * time.Minute)}, []uint64{5, 6, 7, 8}},
		{"until is before", store.RecordQuery{Until: moment(time.Minute)}, []uint64{1}},
		{"several members", store.RecordQuery{ClientID: clientID, GrantID: "g", Event: decisionlog.EventTokenIssued}, []uint64{4}},
		{"members that do not meet", store.RecordQuery{RequestID: "req-1", Event: decisionlog.EventTokenIssued}, nil},
	} {
		if got := seqs(e.records(test.q)); !reflect.DeepEqual(got, test.want) {
			e.Errorf("%s: Records(%+v) = %v, want %v", test.name, test.q, got, test.want)
		}
	}
}

func recordScan(e *env) {
	const n = 2600 // more than a store should look at in one view
	e.must(func(u store.Unit) {
		for i := range n {
			r := newRecord(name("d", i))
			if i == 0 || i == n-1 {
				r.Event = "rare"
			}
			u.Append(r)
		}
	})
	for _, test := range []struct {
		name string
		q    store.RecordQuery
		want []uint64
	}{
		{"rare", store.RecordQuery{Event: "rare"}, []uint64{1, n}},
		{"rare, newest", store.RecordQuery{Event: "rare", Newest: true}, []uint64{n, 1}},
		{"rare, by client", store.RecordQuery{Event: "rare", ClientID: clientID}, []uint64{1, n}},
		{"rare, by client, newest", store.RecordQuery{Event: "rare", ClientID: clientID, Newest: true}, []uint64{n, 1}},
	} {
		if got := seqs(e.records(test.q)); !reflect.DeepEqual(got, test.want) {
			e.Errorf("%s: Records(%+v) = %v, want %v", test.name, test.q, got, test.want)
		}
	}
	for limit, want := range map[int]int{0: 1000, 2000: 2000, 5000: n} {
		list := e.records(store.RecordQuery{Limit: limit})
		for i, s := range list {
			if s.Seq != uint64(i+1) {
				e.Fatalf("limit %d: record %d has number %d", limit, i+1, s.Seq)
			}
		}
		if len(list) != want {
			e.Errorf("limit %d: %d records, want %d", limit, len(list), want)
		}
	}
}

func recordChanged(e *env) {
	isClosed := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	ch := e.s.Changed()
	e.must(func(u store.Unit) { u.PutCode(newCode("h")) })
	if isClosed(ch) {
		e.Error("Changed() fires without a record")
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { <-e.s.Changed() })
	}
	e.must(func(u store.Unit) { u.Append(newRecord("d")) })
	if !isClosed(ch) {
		e.Error("Changed() does not fire after a record")
	}
	again := e.s.Changed()
	if isClosed(again) {
		e.Error("the next Changed() has fired already")
	}
	// A waiter that came late waits for this one.
	e.must(func(u store.Unit) { u.Append(newRecord("e")) })
	wg.Wait()
	if err := e.s.Probe(context.Background()); err != nil {
		e.Error(err)
	}
}
