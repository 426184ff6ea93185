package policies_test

import (
	"testing"

	"guestlist/broker"
)

// A rule that reads what changes by itself, or by an operator's word, ends a
// grant only where its head says so; every other rule may compute its effect.
func TestEffectsOfRulesThatWaver(t *testing.T) {
	const head = `deny_refresh contains {"code": "x", "message": "m", "effect": "end_grant"} if `
	const hidden = "\n\n_d := {\"code\": \"x\", \"message\": \"m\", \"effect\": \"end_grant\"}"
	const silent = `deny_refresh contains {"code": "x", "message": "m"} if `
	for name, c := range map[string]struct {
		rules string
		ends  bool
	}{
		"said, clock":             {head + `input.clock.hour == 12`, true},
		"said, facts":             {head + `not input.facts.open`, true},
		"silent, groups":          {silent + `not "eng" in input.user.groups`, false},
		"silent, time":            {silent + `input.time != ""`, false},
		"hidden, groups":          {"deny_refresh contains _d if not \"eng\" in input.user.groups" + hidden, true},
		"hidden, time":            {"deny_refresh contains _d if input.time != \"\"" + hidden, false},
		"hidden, clock":           {"deny_refresh contains _d if input.clock.hour == 12" + hidden, false},
		"hidden, now":             {"deny_refresh contains _d if input.now.grant_type == \"refresh_token\"" + hidden, false},
		"hidden, facts, a helper": {"deny_refresh contains _d if not _open\n\n_open if input.facts.open" + hidden, false},
	} {
		f := withFacts(`"open": {"type": "boolean", "default": false}`, admits+c.rules+"\n")
		d := decide(t, load(t, f), example, broker.PhaseRefresh)
		refused(t, d, broker.ReasonPolicyDenied)
		if d.EndGrant != c.ends {
			t.Errorf("%s: EndGrant = %v, want %v", name, d.EndGrant, c.ends)
		}
	}
}
