package policies_test

import (
	"testing"

	"guestlist/broker"
)

// TestRuleIsGivenAllItReads (trap F6): a rule is given only the members that it
// reads, so each way of reading one must be seen. In every case the person is
// in a group, and the rule refuses exactly if it sees that group; "not" would
// turn an overlooked member into silence.
func TestRuleIsGivenAllItReads(t *testing.T) {
	const refuse = `deny_user contains {"code": "seen", "message": "m"} if `
	for name, f := range map[string]files{
		"itself":           one(admits + refuse + `"eng" in input.user.groups`),
		"negated":          one(admits + refuse + `not "ops" in input.user.groups`),
		"helper of helper": one(admits + refuse + "_a\n\n_a if _b\n\n_b if \"eng\" in input.user.groups"),
		"negated helper":   one(admits + refuse + "not _a\n\n_a if \"ops\" in input.user.groups"),
		"argument":         one(admits + refuse + "_in(input.user, \"eng\")\n\n_in(u, g) if g in u.groups"),
		"inside function":  one(admits + refuse + "_in(\"eng\")\n\n_in(g) if g in input.user.groups"),
		"else":             one(admits + refuse + "_a == 2\n\n_a := 1 if input.client.host == \"elsewhere.example\"\n\nelse := 2 if \"eng\" in input.user.groups"),
		"default":          one(admits + refuse + "_a == 2\n\ndefault _a := 1\n\n_a := 2 if \"eng\" in input.user.groups"),
		"second clause":    one(admits + refuse + "_a\n\n_a if input.client.host == \"elsewhere.example\"\n\n_a if \"eng\" in input.user.groups"),
		"comprehension":    one(admits + refuse + `count([g | some g in input.user.groups; g == "eng"]) == 1`),
		"every":            one(admits + refuse + `every g in input.user.groups { g == "eng" }` + "\n\n_x if count(input.user.groups) > 0"),
		"value of a rule":  one(admits + refuse + "_u.groups[0] == \"eng\"\n\n_u := input.user"),
		"in the head":      one(admits + `deny_user contains {"code": input.user.groups[0], "message": "m"} if true`),
		"import":           {"p.rego": "package admission.policies.p\n\nimport input.user as who\n\n" + admits + refuse + `"eng" in who.groups`},
		"library": {
			"p.rego": "package admission.policies.p\n\n" + admits + refuse + `data.lib.member("eng")`,
			"l.rego": "package lib\n\nmember(g) if g in groups\n\ngroups := input.user.groups\n",
		},
		"dynamic part of a library": {
			"p.rego": "package admission.policies.p\n\n" + admits + refuse + `data.lib.known[input.request.response_type]`,
			"l.rego": "package lib\n\nknown contains \"code\" if \"eng\" in input.user.groups\n",
		},
		"in base data's key": {
			"p.rego":          "package admission.policies.p\n\n" + admits + refuse + `data.teams[input.user.groups[0]] == "in"`,
			"teams/data.json": `{"eng": "in", "ops": "out"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, f)
			allowed(t, decide(t, set, example, broker.PhaseDocument, groups("eng")))
			refused(t, decide(t, set, example, broker.PhaseUser, groups("eng")), broker.ReasonPolicyDenied)
		})
	}
}
