package policies_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// Trap F6: with an absent operand such a denial would not hold.
func TestNegatedAbsenceIsRefused(t *testing.T) {
	const denial = "{\"code\": \"x\", \"message\": \"m\"}"
	doc := func(cond string) string { return "deny_document contains " + denial + " if " + cond }
	for name, c := range map[string]struct {
		rules string
		fault bool
	}{
		"published":             {doc(`not startswith(input.published.client_uri, "https://corp.example/")`), true},
		"published, in":         {doc(`not "x" in input.published.grant_types`), true},
		"published, compared":   {doc(`not input.published.client_name == "x"`), true},
		"published by variable": {doc(`{ some k in ["client_uri"]; not input.published[k] == "x" }`), true},
		"published as a key":    {doc(`not {"a": true}[input.published.client_name]`), true},
		"in a helper":           {doc("_bad") + "\n\n_bad if not startswith(input.published.client_uri, \"x\")", true},
		"nested":                {doc(`every s in ["x"] { not s in input.published.scopes }`), true},
		"facts":                 {"deny contains " + denial + ` if not input.client.host in input.facts.known`, false},
		"claims":                {"deny_user contains " + denial + ` if not endswith(input.user.claims.department, "eng")`, true},
		"row of a pattern":      {"deny contains " + denial + ` if not startswith(input.row.owner, "a")`, true},
		"data by a key":         {"deny contains " + denial + ` if not startswith(data.l.owner[input.client.host], "a")`, true},
		"test of absence":       {doc(`not input.published.client_uri`), false},
		"a helper negated":      {doc("not _ok") + "\n\n_ok if startswith(input.published.client_uri, \"https://corp.example/\")", false},
		"a comprehension":       {doc(`not count([s | some s in input.published.scopes]) > 0`), false},
		"total members":         {"deny_user contains " + denial + ` if { not "eng" in input.user.groups; not input.client.host in data.l.hosts }`, false},
		"whole open member":     {doc(`not "x" in object.keys(input.published)`), false},
	} {
		f := files{"p.rego": "package admission.policies.p\n\n" + admits + "\n" + c.rules + "\n", "l/data.yaml": "owner: {}\nhosts: [app.example.com]\n",
			policies.FactsFile: `{"type": "object", "properties": {"known": {"type": "array", "items": {"type": "string"}, "default": []}}}`}
		checkNegation(t, name, f, c.fault)
	}
	imported := files{"p.rego": "package admission.policies.p\n\nimport input.published as doc\n\n" + admits + "\n" + doc(`not startswith(doc.client_uri, "x")`) + "\n"}
	checkNegation(t, "imported", imported, true)
	listed := func(member string) files {
		return files{"p.rego": "package admission.policies.p\n\nclient_ids_from := data.l.hosts\n\nsettings := {}\n\ndeny contains " + denial + " if not startswith(input.row." + member + ", \"a\")\n",
			"l/data.yaml": "hosts:\n  app.example.com:\n    - path: /oauth/client.json\n"}
	}
	checkNegation(t, "row of a list", listed("owner"), false)
	checkNegation(t, "settings of a row", listed("settings.client_ttl"), true)
	checkNegation(t, "guardrails", files{"g.rego": "package admission.guardrails\n\n" + doc(`not startswith(input.published.client_uri, "x")`) + "\n"}, true)
}

// checkNegation also holds what is accepted to its meaning: all of it denies.
func checkNegation(t *testing.T, name string, f files, fault bool) {
	t.Helper()
	set, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
	found := slices.ContainsFunc(findings, func(f policies.Finding) bool {
		return f.Code == "negated_absence" && strings.HasSuffix(f.File, ".rego") && f.Line > 1
	})
	if found != fault || (err != nil) != fault {
		t.Errorf("%s: Load = %v, findings %v, want negated_absence %v", name, err, findings, fault)
	}
	if err != nil || name == "total members" {
		return
	}
	if d := decide(t, set, example, broker.PhaseUser); d.Reason != broker.ReasonPolicyDenied {
		t.Errorf("%s: reason %q, want a denial for a document that has nothing", name, d.Reason)
	}
}
