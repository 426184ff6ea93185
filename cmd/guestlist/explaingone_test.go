package main

import (
	"encoding/json"
	"strings"
	"testing"

	"guestlist/broker/decisionlog"
)

// TestExplainWhatIsGone: audit why says in its place that a text which a policy
// computed was erased or masked, and shows what is spelt out.
func TestExplainWhatIsGone(t *testing.T) {
	r := decisionlog.Record{DecisionID: "d1", Event: decisionlog.EventAdmissionDecided, Outcome: decisionlog.OutcomeRefused,
		Phases:   []decisionlog.Phase{{Phase: "user", Denials: []decisionlog.Denial{{Policy: "p", Rule: "deny_user", Code: "c", Remedy: "ask"}}}},
		Computed: []string{"/phases/0/denials/0/message", "/settings"}}
	for _, erased := range []bool{true, false} {
		raw, err := json.Marshal(logged{Record: r, BodyErased: erased})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := explain(&out, whyAnswer{Records: []json.RawMessage{raw}}, false); err != nil {
			t.Fatal(err)
		}
		word := map[bool]string{true: "(erased)", false: "(masked)"}[erased]
		for _, want := range []string{"c by p.deny_user: " + word + "\n", "remedy     ask\n", "settings       " + word + "\n"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("erased %v: no %q in\n%s", erased, want, out.String())
			}
		}
	}
}
