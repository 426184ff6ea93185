package policies_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// notLike writes a condition with not about a member of the input, one that
// an empty value meets; "" for a member that other rows of the test cover.
func notLike(path string) string {
	at := "input." + path
	switch {
	case path == "facts":
		return "" // closed: each fact by its name
	case path == "row":
		return "not " + at + ` == "zz"`
	case path == "redirects":
		return "not count(" + at + ") == 9"
	}
	switch emptyType(path) {
	case "string":
		return "not " + at + ` == "zz"`
	case "boolean":
		return "not " + at
	case "number":
		return "not " + at + " == 99"
	case "array":
		return `not "zz" in ` + at
	}
	return `not "zz" in object.keys(` + at + ")"
}

// TestNotDeniesOnEmptyValues walks the schema of the input (trap F6): for every
// member, in every phase that has it, a denial that says "not" about it holds
// when the broker knows nothing, refresh included.
func TestNotDeniesOnEmptyValues(t *testing.T) {
	order := []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh}
	rules := []string{"deny", "deny_document", "deny_user", "deny_refresh"}
	conditions := map[string]string{}
	for _, p := range paths(t, reflect.TypeFor[broker.Input](), "")[1:] {
		conditions[p] = notLike(p)
	}
	for name, cond := range map[string]string{"text": ` == "zz"`, "flag": "", "whole": " == 99", "number": " == 9.5"} {
		conditions["facts."+name] = "not input.facts." + name + cond
	}
	conditions["facts.list"] = `not "zz" in input.facts.list`
	for _, open := range []string{"published.zz", "user.claims.zz"} {
		conditions[open] = "not input." + open
	}
	f := files{policies.FactsFile: `{"type": "object", "properties": {"text": {"type": "string", "default": ""}, "flag": {"type": "boolean", "default": false},
		"whole": {"type": "integer", "default": 0}, "number": {"type": "number", "default": 0}, "list": {"type": "array", "items": {"type": "string"}, "default": []}}}`}
	first, host := map[string]int{}, map[string]string{}
	for p, cond := range conditions {
		if cond == "" {
			continue
		}
		top, _, _ := strings.Cut(p, ".")
		first[p] = slices.IndexFunc(order, func(ph broker.Phase) bool { return !slices.Contains(broker.MembersBefore(ph), top) })
		name := fmt.Sprintf("p%d", len(host))
		host[p] = name
		f[name+".rego"] = fmt.Sprintf("package admission.policies.%s\n\nclient_ids := {\"https://%s.example/x\"}\n\nsettings := {}\n\n%s contains {\"code\": \"seen\", \"message\": \"m\"} if %s\n",
			name, name, rules[first[p]], cond)
	}
	if len(host) < 80 {
		t.Fatalf("the walk found %d members", len(host))
	}
	set := load(t, f)
	for p, name := range host {
		for n, phase := range order {
			q := question(t, "https://"+name+".example/x", phase)
			q.Input = broker.Input{Phase: phase, ClientID: q.Input.ClientID, Registration: q.Input.Registration, Facts: set.Facts()}
			d := set.Decide(context.Background(), q)
			if want := n >= first[p]; (d.Reason == broker.ReasonPolicyDenied) != want {
				t.Errorf("phase %s, %s: reason %q (%s), want a denial %v", phase, conditions[p], d.Reason, d.Detail, want)
			}
		}
	}
}
