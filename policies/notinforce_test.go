package policies_test

import (
	"testing"
	"testing/fstest"

	"guestlist/policies"
)

// TestNotInForceIsSaid: a member that does nothing yet is a warning where it
// is set to do something, and nothing where it says what holds anyway.
func TestNotInForceIsSaid(t *testing.T) {
	const head = "# METADATA\n# title: Example\n# authors: [Team <team@corp.example>]\npackage admission.policies.example\n\n" +
		"client_ids := {\"https://client.example.com/c\"}\n\nsettings := "
	for settings, want := range map[string]int{
		`{"scopes": {"ceiling": ["mcp:read"]}}`:                                                                     0,
		`{"on_policy_change": "revoke"}`:                                                                            0,
		`{"on_policy_change": "keep"}`:                                                                              0,
		`{"network": {"allow_cidrs": ["10.0.0.0/8"]}, "device": {}}`:                                                1,
		`{"claims": {"team": "x"}, "display": {"same_origin": false}}`:                                              1, // CU-09
		`{"document": {"on_change": "accept"}, "require": {"par": true}}`:                                           0,
		`{"jwks": {"same_origin": false}, "replay_prevention": false, "compat": {"token_endpoint_audience": true}}`: 0, // CU-08, PF-22, Q16
	} {
		_, found, err := policies.Load(t.Context(), policies.Config{FS: fstest.MapFS{"p.rego": &fstest.MapFile{Data: []byte(head + settings + "\n")}}})
		if err != nil {
			t.Fatalf("%s: %v", settings, err)
		}
		n := 0
		for _, f := range found {
			if f.Code == "not_in_force" && f.File == "p.rego" && f.Severity == policies.SeverityWarning {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: %d warnings, want %d: %v", settings, n, want, found)
		}
	}
}
