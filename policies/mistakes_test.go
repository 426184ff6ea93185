package policies_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// TestURLMistakes goes through the ways in which people match URLs wrongly
// (PF-04, PF-05, CU-02): what a mistake would let in does not match, is no
// client identifier URL, or the pattern does not load; what was meant does
// match.
func TestURLMistakes(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("..", "testdata", "policies", "url_mistakes.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct{ Name, Idiom, Pattern, URL, Outcome, Admits string }
	if err := json.Unmarshal(body, &rows); err != nil || len(rows) < 60 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		set, findings, err := policies.Load(context.Background(), policies.Config{FS: naming(r.Pattern).fs()})
		if r.Outcome == "pattern_refused" {
			if err == nil || findings[len(findings)-1].Code != "client_ids_invalid" {
				t.Errorf("%s: pattern %s: Load = %v, want client_ids_invalid", r.Name, r.Pattern, err)
			}
			continue
		}
		if err != nil || r.Admits == "" {
			t.Errorf("%s: pattern %s: Load = %v, admits %q, want a set and an example", r.Name, r.Pattern, err, r.Admits)
			continue
		}
		want := map[string]broker.Reason{"no_match": broker.ReasonNoPolicyMatched, "identifier_refused": broker.ReasonClientIDMalformed}[r.Outcome]
		d := decide(t, set, example, broker.PhaseURL, func(q *broker.Query) { q.Input.ClientID = r.URL })
		if want == "" || d.Allowed || d.Reason != want {
			t.Errorf("%s: %s on %s: allowed %v, reason %q, want %q (%s)", r.Name, r.Pattern, r.URL, d.Allowed, d.Reason, want, r.Outcome)
		}
		allowed(t, decide(t, set, r.Admits, broker.PhaseURL))
	}
}
