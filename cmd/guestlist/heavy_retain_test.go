//go:build heavy

package main

import (
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/storetest"
)

// TestHeavyRetain (G-01): erasing goes through a log of 1,000,000 records to its
// end, while others commit, and holds no more memory for a long log.
func TestHeavyRetain(t *testing.T) {
	const records = 1_000_000
	k := newRetained(t)
	storetest.FillLog(t, k.s, records)
	k.clock = storetest.Usual(records).Timestamp.Add(2 * time.Hour)
	for _, c := range decisionlog.Classes() {
		k.ages[c.Class] = time.Hour
	}
	commit := func() time.Duration {
		u, began := k.s.Begin(), time.Now()
		u.PutCursor("somebody", 1)
		if err := k.s.Commit(t.Context(), u); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	last := func() uint64 {
		seq, err := store.Log{Store: k.s}.Last(t.Context())
		orFail(t, err)
		return seq
	}
	middle := func(waits []time.Duration) time.Duration {
		slices.Sort(waits)
		return waits[len(waits)/2]
	}
	var alone, beside []time.Duration
	for range 200 {
		alone = append(alone, commit())
	}
	k.begin(t.Context())
	var ended atomic.Bool
	waits := make(chan []time.Duration)
	go func() {
		for !ended.Load() {
			beside = append(beside, commit())
		}
		waits <- beside
	}()
	var heap runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&heap)
	before, most, rounds, began := heap.HeapAlloc, uint64(0), 0, time.Now()
	for ; ; rounds++ {
		told := last()
		k.round(t.Context())
		runtime.GC()
		runtime.ReadMemStats(&heap)
		most = max(most, heap.HeapAlloc)
		if last() == told {
			break
		}
	}
	took := time.Since(began)
	ended.Store(true)
	beside = <-waits
	for _, c := range decisionlog.Classes() {
		for after, more := uint64(0), true; more; {
			due, err := k.s.Overdue(t.Context(), store.Retain{Class: c.Class, After: after, Before: k.clock.Add(-time.Hour), Now: k.clock})
			orFail(t, err)
			if len(due.Seqs) > 0 {
				t.Fatalf("%s: the body of record %d is there yet", c.Class, due.Seqs[0])
			}
			after, more = due.Place, due.More
		}
	}
	if grown := int64(most) - int64(before); grown > 64<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if k.lines.Len() > 0 {
		t.Errorf("the log says: %.1000s", k.lines.String())
	}
	t.Logf("%d records in %d rounds, %s; a commit beside it waits %.1f times as long as alone (the middle one of %d); the heap grew by %d bytes",
		records, rounds, took.Round(time.Second), float64(middle(beside))/float64(middle(alone)), len(beside), int64(most)-int64(before))
}
