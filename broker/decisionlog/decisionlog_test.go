package decisionlog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// sample is a record with members in both parts.
func sample() decisionlog.Record {
	return decisionlog.Record{
		DecisionID: "d1", Timestamp: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Event: "admission.decided",
		Outcome: decisionlog.OutcomeRefused, Reason: "policy_denied", RequestID: "r1", ClientID: "https://client.example.com/c",
		Detail: "no\nlines \"quoted\"", Source: "192.0.2.7", Input: json.RawMessage(`{"user":{"sub":"alice"}}`),
	}
}

func TestSealKeepsPersonalMembersOutOfTheHeader(t *testing.T) {
	s, err := decisionlog.Seal(7, sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{"192.0.2.7", "alice", "quoted"} {
		if bytes.Contains(s.Header, []byte(personal)) {
			t.Errorf("header contains %q: %s", personal, s.Header)
		}
		if !bytes.Contains(s.Body, []byte(personal)) {
			t.Errorf("body does not contain %q: %s", personal, s.Body)
		}
	}
	r, err := s.Record()
	if err != nil || r.Detail != sample().Detail || r.RequestID != "r1" || r.Source != "192.0.2.7" {
		t.Errorf("Record() = %+v, %v", r, err)
	}
	again, _ := decisionlog.Seal(7, sample())
	if bytes.Equal(s.Header, again.Header) {
		t.Error("two seals of one record are equal: the body digest is not salted")
	}
}

func TestSealedBodyIsCoveredByTheHeader(t *testing.T) {
	s, _ := decisionlog.Seal(1, sample())
	leaf := s.LeafHash()
	s.Body = bytes.Replace(s.Body, []byte("192.0.2.7"), []byte("192.0.2.8"), 1)
	if _, err := s.Record(); err == nil {
		t.Error("a changed body was accepted")
	}
	s.Body, s.Salt = nil, nil
	r, err := s.Record()
	if err != nil || r.Source != "" || r.ClientID == "" {
		t.Errorf("erased body: Record() = %+v, %v", r, err)
	}
	if s.LeafHash() != leaf {
		t.Error("erasing the body changed the leaf")
	}
}

// writes is a commit that can be told to fail.
type writes struct {
	mu      sync.Mutex
	batches [][]decisionlog.Record
	err     error
}

func (w *writes) commit(_ context.Context, r []decisionlog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	w.batches = append(w.batches, r)
	return nil
}

func (w *writes) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *writes) all() (out []decisionlog.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.batches {
		out = append(out, b...)
	}
	return out
}

// batch starts a batch over w.
func batch(t *testing.T, w *writes, max int) *decisionlog.Batch {
	t.Helper()
	b, err := decisionlog.NewBatch(decisionlog.BatchConfig{Commit: w.commit, Single: broker.Single, Max: max})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBatchWritesAtMostOneSecondLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 0)
		for range 3 {
			if err := b.Add(decisionlog.Record{Outcome: decisionlog.OutcomeReused}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if n := len(w.all()); n != 0 {
			t.Errorf("after 999 ms: %d records written, want none yet", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if len(w.batches) != 1 || len(w.all()) != 3 {
			t.Errorf("after 1 s: %d commits with %d records, want one with 3", len(w.batches), len(w.all()))
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestBatchThatCannotWriteRefusesAllowsAndKeepsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 0)
		w.fail(errors.New("disk full"))
		b.Add(decisionlog.Record{DecisionID: "kept", Outcome: decisionlog.OutcomeRefused})
		if err := b.Flush(t.Context()); err == nil {
			t.Fatal("a flush that could not write returned nil")
		}
		if err := b.Add(decisionlog.Record{Outcome: decisionlog.OutcomeReused}); err == nil {
			t.Error("an allow was taken while the log cannot be written")
		}
		if err := b.Add(decisionlog.Record{Outcome: decisionlog.OutcomeRefused}); err != nil {
			t.Errorf("a refusal was not taken: %v", err)
		}
		if err := b.Keep(decisionlog.Record{DecisionID: "done", Outcome: decisionlog.OutcomeDone}); err != nil {
			t.Errorf("what happened already was not taken: %v", err)
		}
		w.fail(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.all(); len(got) != 3 || got[0].DecisionID != "kept" || got[2].DecisionID != "done" {
			t.Errorf("after recovery: %+v, want both refusals and what was done, in order", got)
		}
		if b.Failure() != nil {
			t.Errorf("Failure() = %v after recovery", b.Failure())
		}
		b.Close(t.Context())
	})
}

func TestBatchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{err: errors.New("disk full")}
		b := batch(t, w, 8)
		var full error
		for i := range 100 {
			r := decisionlog.Record{Outcome: decisionlog.OutcomeRefused, Reason: "client_blocked", Source: fmt.Sprint(i)}
			if err := b.Add(r); err != nil {
				full = err
			}
		}
		if !errors.Is(full, decisionlog.ErrBatchFull) {
			t.Errorf("100 records into a batch of 8: last error = %v, want ErrBatchFull", full)
		}
		w.fail(nil)
		b.Close(t.Context())
		if n := len(w.all()); n != 8 {
			t.Errorf("%d records written, want the 8 that were held", n)
		}
	})
}

func TestBatchSummarisesAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 0)
		add := func(id string, phases []decisionlog.Phase) {
			if err := b.Add(decisionlog.Record{RequestID: id, Outcome: decisionlog.OutcomeRefused, Reason: "no_policy_matched", Source: "192.0.2.1", Phases: phases}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 1000 {
			add(fmt.Sprint(i), nil)
		}
		guardrail := []decisionlog.Phase{{Denials: []decisionlog.Denial{{Policy: "guardrails"}}}}
		add("guarded", guardrail)
		for range 100 {
			if err := b.Add(decisionlog.Record{RequestID: "replay", Outcome: decisionlog.OutcomeRefused, Reason: "assertion_replayed", Source: "192.0.2.1"}); err != nil {
				t.Fatal(err)
			}
		}
		b.Close(t.Context())
		got := w.all()
		if len(got) != 166 {
			t.Fatalf("%d records, want 64, one summary, the guardrail's and 100 of replays", len(got))
		}
		sum := got[64]
		if sum.Count != 936 || sum.RequestID != "64" || sum.LastRequestID != "999" {
			t.Errorf("summary = %+v, want 936 from 64 to 999", sum)
		}
		if got[65].RequestID != "guarded" || got[65].Count != 0 {
			t.Errorf("the guardrail's refusal was summarised: %+v", got[65])
		}
	})
}

// TestBatchNeverSummarisesBlocks: each refusal by a block has a record of its
// own, however many there are (H-02).
func TestBatchNeverSummarisesBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 0)
		for _, reason := range []string{"client_blocked", "host_blocked", "document_blocked"} {
			for range 100 {
				if err := b.Add(decisionlog.Record{Outcome: decisionlog.OutcomeRefused, Reason: reason, Source: "192.0.2.1"}); err != nil {
					t.Fatal(err)
				}
			}
		}
		b.Close(t.Context())
		if n := len(w.all()); n != 300 {
			t.Errorf("%d records of 300 refusals by blocks, want each", n)
		}
	})
}

// TestBlockedFloodLeavesRoom is H-02, design §6: refusals that are never
// summarised wait for a slow log instead of taking the room of clients that are
// let in, and none of them is lost.
func TestBlockedFloodLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, slow := &writes{}, make(chan struct{})
		b, err := decisionlog.NewBatch(decisionlog.BatchConfig{Max: 64, Single: broker.Single, Commit: func(ctx context.Context, r []decisionlog.Record) error {
			<-slow
			return w.commit(ctx, r)
		}})
		if err != nil {
			t.Fatal(err)
		}
		var flood sync.WaitGroup
		for i := range 200 {
			flood.Go(func() {
				r := decisionlog.Record{RequestID: fmt.Sprint(i), Outcome: decisionlog.OutcomeRefused, Reason: "host_blocked", Source: "192.0.2.1"}
				if err := b.Add(r); err != nil {
					t.Errorf("Add() of a refusal = %v", err)
				}
			})
		}
		synctest.Wait()
		if err := b.Add(decisionlog.Record{RequestID: "known", Outcome: decisionlog.OutcomeReused}); err != nil {
			t.Errorf("Add() of a known client in a flood = %v, want room", err)
		}
		close(slow)
		flood.Wait()
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.all(); len(got) != 201 {
			t.Errorf("%d records written, want all 201", len(got))
		}
	})
}

// TestBatchWritesInParts: no commit holds up others for long, and what was
// written before a failure is not written again.
func TestBatchWritesInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts []int
		var seen []string
		b, err := decisionlog.NewBatch(decisionlog.BatchConfig{Single: broker.Single, Commit: func(_ context.Context, r []decisionlog.Record) error {
			if parts = append(parts, len(r)); len(parts) == 3 {
				return errors.New("disk full")
			}
			for _, x := range r {
				seen = append(seen, x.RequestID)
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 300 {
			want = append(want, fmt.Sprint(i))
			if err := b.Add(decisionlog.Record{RequestID: fmt.Sprint(i), Outcome: decisionlog.OutcomeReused}); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Flush(t.Context()); err == nil {
			t.Error("Flush() = nil, want the third commit's error")
		}
		b.Close(t.Context())
		if !slices.Equal(parts, []int{128, 128, 44, 44}) || !slices.Equal(seen, want) {
			t.Errorf("commits of %d, %d records written, want 128, 128, 44 and 44 again, each record once", parts, len(seen))
		}
	})
}

// TestBatchKeepsRoomForKnownClients: refusals from any number of sources take
// at most half of a batch (G-15), and each is counted.
func TestBatchKeepsRoomForKnownClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &writes{}
		b := batch(t, w, 100)
		w.mu.Lock() // the log is slow
		for i := range 1000 {
			for _, reason := range []string{"no_policy_matched", "rate_limited"} {
				if err := b.Add(decisionlog.Record{RequestID: fmt.Sprint(i), Outcome: decisionlog.OutcomeRefused, Reason: reason, Source: fmt.Sprintf("2001:db8:0:%x::1", i)}); err != nil {
					t.Errorf("refusal %d: %v", i, err)
				}
			}
		}
		for i := range 40 {
			if err := b.Add(decisionlog.Record{RequestID: fmt.Sprint(i), Outcome: decisionlog.OutcomeReused, Source: "192.0.2.1"}); err != nil {
				t.Errorf("known client %d: %v", i, err)
			}
		}
		w.mu.Unlock()
		b.Close(t.Context())
		reused, refused := 0, 0
		for _, r := range w.all() {
			if r.Outcome == decisionlog.OutcomeReused {
				reused++
			} else {
				refused += max(1, r.Count)
			}
		}
		if reused != 40 || refused != 2000 {
			t.Errorf("%d reused and %d refused are recorded, want 40 and 2000", reused, refused)
		}
	})
}

// One subscriber has a whole IPv6 /64 to send refusals from.
func TestBatchSummarisesByNetwork(t *testing.T) {
	for name, test := range map[string]struct {
		source func(int) string
		want   int
	}{
		"one /64":   {func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) }, 65},
		"many /64s": {func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i) }, 200},
		"many IPv4": {func(i int) string { return fmt.Sprintf("192.0.2.%d", i) }, 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &writes{}
			b := batch(t, w, 0)
			for i := range 200 {
				if err := b.Add(decisionlog.Record{RequestID: fmt.Sprint(i), Outcome: decisionlog.OutcomeRefused, Reason: "no_policy_matched", Source: test.source(i)}); err != nil {
					t.Fatal(err)
				}
			}
			b.Close(t.Context())
			if got := len(w.all()); got != test.want {
				t.Errorf("%s: %d records of 200 refusals, want %d", name, got, test.want)
			}
		})
	}
}
