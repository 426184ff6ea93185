package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// agedRecords are records of three hours ago beside young ones: more refusals of
// strangers than one step erases, some that a hold keeps, and some of people,
// who are kept for longer. All but the young come so many times.
func agedRecords(now time.Time, times int) (list []decisionlog.Record, held store.Hold) {
	const old, young = 3 * time.Hour, 10 * time.Minute
	add := func(n int, age time.Duration, host, subject string) {
		for range n {
			list = append(list, decisionlog.Record{
				DecisionID: broker.NewID(), RequestID: broker.NewID(), Timestamp: now.Add(-age), Event: decisionlog.EventRequestRefused,
				Outcome: decisionlog.OutcomeRefused, Reason: string(broker.ReasonNoPolicyMatched), ClientID: "https://" + host + "/client.json",
				Subject: subject, Source: "192.0.2.99", Detail: "canary of " + host, Input: json.RawMessage(`{"a":1}`),
			})
		}
	}
	for range times {
		add(100, old, "old.example", "")
		add(3, old, "held.example", "")
		add(3, old, "old.example", "a-person-of-22-letters")
		add(105, old, "old.example", "")
	}
	add(3, young, "young.example", "")
	return list, store.Hold{ID: "h", Filter: store.RecordQuery{Host: "held.example"}, Reason: "case-7", Actor: "uid 0", At: now}
}

// due are the numbers of those of agedRecords that are past their age and not
// held.
func due(list []decisionlog.Record) (seqs []uint64) {
	for i, r := range list {
		if r.Detail == "canary of old.example" && r.Subject == "" {
			seqs = append(seqs, uint64(i+1))
		}
	}
	return seqs
}

// ages keep strangers for an hour, people for long.
func ages() map[decisionlog.Class]time.Duration {
	return map[decisionlog.Class]time.Duration{decisionlog.ClassStrangers: time.Hour, decisionlog.ClassPeople: 400 * day}
}

// putAged puts agedRecords and their hold into a store that has no record yet,
// and returns which are due.
func putAged(t *testing.T, st store.Store, times int) []uint64 {
	t.Helper()
	list, hold := agedRecords(time.Now().Round(0), times)
	u := st.Begin()
	for _, r := range list {
		u.Append(r)
	}
	u.PutHold(hold)
	u.Append(decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: hold.At, Event: decisionlog.EventLogHeld, Outcome: decisionlog.OutcomeDone, Actor: hold.Actor,
		Detail: "hold " + hold.ID + " on host held.example",
	})
	orFail(t, st.Commit(t.Context(), u))
	return due(list)
}

// aging has the app's retainer something to erase.
func aging(x *faultyApp, _ int) {
	x.retainer.ages, x.due = ages(), putAged(x.t, x.file, 1)
}

// ageRound takes one round of the retainer.
func ageRound(x *faultyApp, _ int) error {
	var lines strings.Builder
	x.retainer.log, x.retainer.swept = zerolog.New(&lines), 0
	x.retainer.round(x.t.Context())
	if lines.Len() > 0 {
		return errors.New(lines.String())
	}
	return nil
}

// allAged wants every body gone that is due, and no other, and nothing left to
// do.
func allAged(x *faultyApp, n int) {
	if !slices.Equal(x.ledger.Bare, x.due) {
		x.t.Errorf("%d bodies are gone, want the %d that are due", len(x.ledger.Bare), len(x.due))
	}
	before := x.file.Syncs()
	if err := ageRound(x, n); err != nil || x.file.Syncs() != before {
		x.t.Errorf("a round with nothing to do took %d commits: %v", x.file.Syncs()-before, err)
	}
}
