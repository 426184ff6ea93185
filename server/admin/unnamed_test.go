package admin_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store"
)

// G-01: while nothing can be written a summary goes on for as long as that
// lasts. An id from its middle is explained by it, and an id from after its end
// is not.
func TestG01AnIDFromALongOutage(t *testing.T) {
	e := start(t, nil)
	down, began := errors.New("no room"), noon.Add(-40*time.Hour)
	failing := down
	b, err := decisionlog.NewBatch(decisionlog.BatchConfig{
		Commit: func(ctx context.Context, records []decisionlog.Record) error {
			if failing != nil {
				return failing
			}
			u := e.store.Begin()
			for _, r := range records {
				u.Append(r)
			}
			return e.store.Commit(ctx, u)
		},
		Single: func(string) bool { return false }, MaxDelay: time.Hour, Max: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for at := began; at.Before(began.Add(30 * time.Hour)); at = at.Add(15 * time.Minute) {
		r := decisionlog.Record{
			DecisionID: broker.NewID(), Timestamp: at, Event: "admission.decided", Outcome: "refused", Reason: "no_policy_matched",
			PublicReason: "client_not_admitted", RequestID: broker.NewRequestID(at), Source: "192.0.2.7",
		}
		ids = append(ids, r.RequestID)
		if err := b.Add(r); err != nil {
			t.Fatalf("Add() = %v", err)
		}
		if err := b.Flush(t.Context()); !errors.Is(err, down) {
			t.Fatalf("Flush() = %v, want %v", err, down)
		}
	}
	failing = nil
	if err := b.Close(t.Context()); err != nil {
		t.Fatalf("Close() = %v", err)
	}
	e.commit(func(u store.Unit) {
		u.Append(decisionlog.Record{DecisionID: "later", Timestamp: noon, Event: "policy.activated", Outcome: "done"})
	})
	for i, id := range ids {
		w, err := e.client.Why(t.Context(), id, time.Time{}, false)
		if err != nil || w.Reason != "no_policy_matched" || w.Unnamed != nil && w.Unnamed.Verdict != admin.UnnamedSummarised {
			t.Fatalf("why of refusal %d of %d = %+v, %+v, %v, want the summary that counts it", i, len(ids), w, w.Unnamed, err)
		}
	}
	for _, after := range []time.Duration{32 * time.Hour, 39 * time.Hour} {
		w, err := e.client.Why(t.Context(), broker.NewRequestID(began.Add(after)), time.Time{}, false)
		if err != nil || w.Unnamed == nil || w.Unnamed.Verdict != admin.UnnamedUnrecorded {
			t.Errorf("why of a foreign id from %v later = %+v, %v, want unrecorded", after, w.Unnamed, err)
		}
	}
}
