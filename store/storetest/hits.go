package storetest

import (
	"context"
	"maps"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// decided is the record of a decision, with the policies that matched.
func decided(at time.Time, outcome string, winner []string, denied string, matched ...string) decisionlog.Record {
	r := newRecord("d" + at.String())
	r.Timestamp, r.Outcome, r.Policy = at, outcome, winner
	for _, phase := range []string{"url", "document"} {
		p := decisionlog.Phase{Phase: phase}
		for _, m := range matched {
			p.Candidates = append(p.Candidates, decisionlog.Candidate{Policy: m})
		}
		if denied != "" {
			p.Denials = []decisionlog.Denial{{Policy: denied}, {Policy: denied}}
		}
		r.Phases = append(r.Phases, p)
	}
	return r
}

// hitsAre checks every count.
func (e *env) hitsAre(what string, want map[string]store.Hits) {
	e.Helper()
	got, err := e.s.Hits(context.Background())
	if err != nil || !maps.Equal(got, want) {
		e.Errorf("%s: Hits() = %v, %v, want %v", what, got, err, want)
	}
}

// policyHits is about the counts of policies.
func policyHits(e *env) {
	e.hitsAre("new store", map[string]store.Hits{})
	first, second := moment(0), moment(time.Hour)
	e.must(func(u store.Unit) {
		u.Append(decided(second, decisionlog.OutcomeAdmitted, []string{"a", "b"}, "", "a", "b", "veto"))
		u.Append(decided(first, decisionlog.OutcomeReused, []string{"a"}, "", "a", "veto"))
		u.Append(decided(first, decisionlog.OutcomeRefused, []string{"a"}, "veto", "a", "veto"))
	})
	refused := decided(second, decisionlog.OutcomeRefused, nil, "guardrails")
	e.must(func(u store.Unit) { u.Append(refused) })
	other := decided(moment(2*time.Hour), decisionlog.OutcomeDone, []string{"a"}, "", "a")
	other.Event = decisionlog.EventDocumentFetched
	e.must(func(u store.Unit) { u.Append(other) })
	e.want("lost", broker.ErrConflict, func(u store.Unit) {
		u.RequireEpoch(99)
		u.Append(refused)
	})
	e.reopen()
	e.hitsAre("counted", map[string]store.Hits{
		"a":          {Matched: 3, Admitted: 2, LastAt: second},
		"b":          {Matched: 1, Admitted: 1, LastAt: second},
		"veto":       {Matched: 3, Denied: 1, LastAt: second},
		"guardrails": {Denied: 1, LastAt: second},
	})
}

// policyHitsBound is about how many policies are counted.
func policyHitsBound(e *env) {
	e.must(func(u store.Unit) { u.Append(decided(moment(time.Hour), decisionlog.OutcomeRefused, nil, "", "kept")) })
	many := make([]string, 0, store.MaxHits)
	for i := range store.MaxHits - 1 {
		many = append(many, name("p", i))
	}
	e.must(func(u store.Unit) {
		u.Append(decided(moment(0), decisionlog.OutcomeRefused, nil, "", "oldest"))
		u.Append(decided(moment(time.Minute), decisionlog.OutcomeRefused, nil, "", many...))
	})
	got, err := e.s.Hits(context.Background())
	_, kept := got["kept"]
	if err != nil || len(got) != store.MaxHits || !kept {
		e.Errorf("Hits() counts %d policies, kept %v, %v; want %d with the one that was hit last", len(got), kept, err, store.MaxHits)
	}
}
