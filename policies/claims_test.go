package policies_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"guestlist/broker"
)

// claimReads are ways to read claims, with the claims that each reads; "*" is
// any.
var claimReads = []struct{ name, rules, want string }{
	{"none", `deny_user contains {"code": "x", "message": "m"} if "eng" in input.user.groups`, ""},
	{"by name", `deny_user contains {"code": "x", "message": "m"} if input.user.claims.team == "red"`, "team"},
	{"below a claim", `deny_user contains {"code": "x", "message": "m"} if input.user.claims.org.unit == "red"`, "org"},
	{"by a name that is no word", `deny_user contains {"code": "x", "message": "m"} if input.user.claims["https://x.example/team"] == "red"`, "https://x.example/team"},
	{"absence", `deny_user contains {"code": "x", "message": "m"} if not input.user.claims.team`, "team"},
	{"with a default", `deny_user contains {"code": "x", "message": "m"} if object.get(input.user.claims, "team", "") != "red"`, "team"},
	{"with a default, in another call", `deny_user contains {"code": "x", "message": "m"} if lower(object.get(input.user.claims, "team", "")) != "red"`, "team"},
	{"with a default by a variable", `deny_user contains {"code": "x", "message": "m"} if { some n in ["team"]; object.get(input.user.claims, n, "") != "red" }`, "*"},
	{"two", `deny_user contains {"code": "x", "message": "m"} if { input.user.claims.team == "red"; input.user.claims.level == "1" }`, "level team"},
	{"in the message", `deny_user contains {"code": "x", "message": sprintf("of %s", [input.user.claims.team])} if "eng" in input.user.groups`, "team"},
	{"by a helper", "deny_user contains {\"code\": \"x\", \"message\": \"m\"} if not _red\n\n_red if input.user.claims.team == \"red\"", "team"},
	{"by an argument", "deny_user contains {\"code\": \"x\", \"message\": \"m\"} if _red(input.user.claims.team)\n\n_red(t) if t == \"red\"", "team"},
	{"by a library", `deny_refresh contains {"code": "x", "message": "m"} if data.lib.red`, "team"},
	{"in else", "deny_user contains {\"code\": \"x\", \"message\": \"m\"} if _v == 2\n\n_v := 1 if \"a\" in input.user.groups\n\nelse := 2 if input.user.claims.team == \"red\"", "team"},
	{"of data", `deny_user contains {"code": "x", "message": "m"} if data.teams[input.user.claims.team]`, "team"},
	{"a comprehension", `deny_user contains {"code": "x", "message": "m"} if count([1 | input.user.claims.team == "red"]) == 1`, "team"},
	{"a warning", `warn contains {"code": "x", "message": "m"} if input.user.claims.team == "red"`, "team"},
	{"by a variable", `deny_user contains {"code": "x", "message": "m"} if { some n in ["team"]; input.user.claims[n] == "red" }`, "*"},
	{"each", `deny_user contains {"code": "x", "message": "m"} if { some v in input.user.claims; v == "red" }`, "*"},
	{"as a whole", `deny_user contains {"code": "x", "message": "m"} if count(input.user.claims) > 1`, "*"},
	{"the person as a whole", "deny_user contains {\"code\": \"x\", \"message\": \"m\"} if _u.claims.team == \"red\"\n\n_u := input.user", "*"},
	{"the person by a variable", `deny_user contains {"code": "x", "message": "m"} if { some n in ["claims"]; input.user[n].team == "red" }`, "*"},
	{"an import", "IMPORT\n\ndeny_user contains {\"code\": \"x\", \"message\": \"m\"} if c.team == \"red\"", "team"},
	{"a helper that nothing uses", "_red if input.user.claims.team == \"red\"", ""},
}

// readsOf is a root of one policy.
func readsOf(rules string) files {
	head := "package admission.policies.p\n\n"
	if rest, ok := strings.CutPrefix(rules, "IMPORT"); ok {
		head, rules = head+"import input.user.claims as c\n\n", rest
	}
	return files{"p.rego": head + admits + "\n" + rules + "\n", "teams/data.json": `{"red": true, "blue": false}`,
		"lib.rego": "package lib\n\nred if input.user.claims.team == \"red\"\n\nother if input.user.claims.level == \"1\"\n"}
}

// TestClaims: a set knows which claims its decisions can depend on, and decides
// the same without the others, whatever they are.
func TestClaims(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, tt := range claimReads {
		set := load(t, readsOf(tt.rules))
		names, all := set.Claims()
		got := strings.Join(names, " ")
		if all {
			got = "*"
		}
		if got != tt.want {
			t.Errorf("%s: Claims() = %q, %v, want %q", tt.name, names, all, tt.want)
		}
		refused := 0
		for i := range 60 {
			person := map[string]any{}
			for _, name := range []string{"team", "level", "email", "https://x.example/team"} {
				if rnd.IntN(3) > 0 {
					person[name] = []any{"red", "blue", "1"}[rnd.IntN(3)]
				}
			}
			if rnd.IntN(2) > 0 {
				person["org"] = map[string]any{"unit": []any{"red", "blue"}[rnd.IntN(2)]}
			}
			read := person
			if !all {
				read = map[string]any{}
				for _, name := range names {
					if v, ok := person[name]; ok {
						read[name] = v
					}
				}
			}
			phase := []broker.Phase{broker.PhaseUser, broker.PhaseRefresh}[i%2]
			was := decide(t, set, example, phase, groups("eng"), func(q *broker.Query) { q.Input.User.Claims = person })
			is := decide(t, set, example, phase, groups("eng"), func(q *broker.Query) { q.Input.User.Claims = read })
			if was.Took, is.Took = 0, 0; !reflect.DeepEqual(was, is) {
				t.Errorf("%s: with claims %v the answer is\n%+v\nwith those that are read\n%+v", tt.name, person, was, is)
			}
			if !was.Allowed || len(was.Warnings) > 0 {
				refused++
			}
		}
		if tt.want != "" && refused == 0 {
			t.Errorf("%s: no claims refused anybody: the comparison says nothing", tt.name)
		}
	}
}

// TestClaimsOfTheSet: guardrails, the policy for anyone and the mask count, each
// root, and what is not in force does not hide.
func TestClaimsOfTheSet(t *testing.T) {
	t.Parallel()
	denial := func(claim string) string {
		return fmt.Sprintf("deny_user contains {\"code\": \"x\", \"message\": \"m\"} if input.user.claims.%s == \"x\"\n", claim)
	}
	f := files{
		"p.rego":    "package admission.policies.p\n\n" + admits + "\n" + denial("of_policy"),
		"g.rego":    "package admission.guardrails\n\n" + denial("of_guardrails"),
		"a.rego":    "package admission.anyone\n\nsettings := {\"open\": true}\n\n" + denial("of_anyone"),
		"mask.rego": "package admission.mask\n\nmask contains \"/source\" if input.input.user.claims.of_mask\n\nmask contains sprintf(\"/input/user/claims/%s\", [n]) if some n, _ in input.input.user.claims\n",
		"q.rego":    "package admission.policies.q\n\nmode := \"warn\"\n\n" + admits + "\n" + denial("of_warning"),
	}
	names, all := load(t, f).Claims()
	if got := strings.Join(names, " "); all || got != "of_anyone of_guardrails of_mask of_policy of_warning" {
		t.Errorf("Claims() = %q, %v", names, all)
	}
	set, err := load(t, f).WithFacts(nil)
	if err != nil {
		t.Fatal(err)
	}
	if with, all := set.Claims(); all || len(with) != len(names) {
		t.Errorf("with facts: Claims() = %q, %v, want %q", with, all, names)
	}
}
