package main

import (
	"encoding/json"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
)

// diffed is a side with facts of that record, as a story has them.
func diffed(t *testing.T, r decisionlog.Record, facts map[string]any) *diffSide {
	t.Helper()
	r.DecisionID, r.Event, r.Outcome = "d", decisionlog.EventAdmissionDecided, decisionlog.OutcomeAdmitted
	why, err := whyOf(r)
	if err != nil {
		t.Fatal(err)
	}
	side, err := told{why, &story{DecisionID: "d", InForce: &storyForce{Values: facts}}}.side(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return side
}

// What masking took of a record is not known, and so no change; what it left is
// compared.
func TestAuditDiffOfMaskedFacts(t *testing.T) {
	whole := map[string]any{"freeze": true, "freeze_at": "noon", "a/b": 1}
	for name, c := range map[string]struct {
		record decisionlog.Record
		facts  map[string]any
		want   string
	}{
		"nothing":          {decisionlog.Record{}, map[string]any{"freeze": true}, `["facts.a/b","facts.freeze_at"]`},
		"one removed":      {decisionlog.Record{Erased: []string{"/input/facts/freeze"}}, map[string]any{"freeze_at": "noon", "a/b": 1}, `[]`},
		"one, one changed": {decisionlog.Record{Erased: []string{"/input/facts/freeze"}}, map[string]any{"freeze_at": "six", "a/b": 1}, `["facts.freeze_at"]`},
		"one replaced":     {decisionlog.Record{Masked: []string{"/input/facts/a~1b"}}, map[string]any{"freeze": true, "freeze_at": "noon", "a/b": "***"}, `[]`},
		"all":              {decisionlog.Record{Masked: []string{"/input/facts"}}, nil, `[]`},
		"the input":        {decisionlog.Record{Erased: []string{"/detail", "/input"}, MaskError: "x"}, nil, `[]`},
		"something else":   {decisionlog.Record{Erased: []string{"/input/user", "/source"}}, nil, `["facts.a/b","facts.freeze","facts.freeze_at"]`},
	} {
		for turn := range 2 {
			d := auditDiff{From: diffed(t, decisionlog.Record{}, whole), To: diffed(t, c.record, c.facts)}
			if turn == 1 {
				d.From, d.To = d.To, d.From
			}
			d.compare()
			members := []string{}
			for _, change := range d.Changes {
				members = append(members, change.Member)
			}
			if got, err := json.Marshal(members); err != nil || string(got) != c.want {
				t.Errorf("%s: changed %s, %v, want %s", name, got, err, c.want)
			}
		}
	}
}
