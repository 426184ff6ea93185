package policies_test

import (
	"reflect"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// TestSettledTermsAreTheComposedOnes asks policies with constant settings,
// whose terms are made at load, and the same with settings that read input,
// whose terms are made for each request.
func TestSettledTermsAreTheComposedOnes(t *testing.T) {
	bounds := map[string]string{
		"bare":     "",
		"defaults": "package admission.defaults\n\nsettings := {\"client_ttl\": \"3d\", \"tags\": [\"x\"]}\n",
		"ceiling":  "package admission.guardrails\n\nceiling := {\"scopes\": {\"ceiling\": [\"b\"]}, \"require\": {\"groups\": [\"ops\"]}, \"consent\": {\"mode\": \"once\"}}\n",
		"conflict": "package admission.guardrails\n\nceiling := {\"token_endpoint_auth_methods\": [\"private_key_jwt\"]}\n",
		"late":     "package admission.guardrails\n\nceiling := {\"client_ttl\": \"1d\"} if input.published.client_name != \"other\"\n",
	}
	const own = `settings := {"scopes": {"ceiling": ["a", "b"], "default": ["a", "b"]}, "token_endpoint_auth_methods": ["none"], "consent": {"mode": "skip"}, "require": {"groups": ["eng"]}}`
	for name, bound := range bounds {
		f := files{"p.rego": policy("p", own)}
		g := files{"p.rego": policy("p", own+` if input.client_id != ""`)}
		if bound != "" {
			f["bound.rego"], g["bound.rego"] = bound, bound
		}
		conf := func(f files) *policies.Set {
			return loadConfig(t, policies.Config{FS: f.fs(), Maxima: map[string]any{"client_ttl": "2d"}})
		}
		settled, composed := conf(f), conf(g)
		for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
			for _, who := range [][]string{{"eng"}, {"eng", "ops"}} {
				got, want := decide(t, settled, example, phase, groups(who...)), decide(t, composed, example, phase, groups(who...))
				if want.Written != nil {
					t.Errorf("%s, %s: settings that read input are written at load", name, phase)
				}
				if name == "late" && got.Written != nil {
					t.Errorf("%s, %s: settings under a ceiling that reads input are written at load", name, phase)
				}
				got.Written, got.Took, want.Took = nil, 0, 0
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s, groups %v: Decide of constant settings =\n%+v\nof the same, made for the request\n%+v", name, phase, who, got, want)
				}
			}
		}
	}
	if d := decide(t, load(t, one(admits)), example, broker.PhaseDocument); d.Written == nil {
		t.Error("constant settings are not written at load")
	}
}
