package policies_test

import (
	"fmt"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// Whoever can be granted something is in the answer: each case was once
// answered with nobody.
func TestWhoCanNamesEverybody(t *testing.T) {
	grants := "client_ids := {\"" + example + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"a\"]}}\n"
	many := func() files {
		p := "client_ids := {\"" + example + "\"}\n\ndeny_user contains {\"code\": \"d\", \"message\": \"m\"} if not \"b\" in input.effective.scopes\n\n"
		g := "package admission.guardrails\n\n"
		for i := range 9 {
			ceiling := `"a"`
			if i == 8 {
				ceiling = `"a", "b"`
			}
			p += fmt.Sprintf("settings := {\"scopes\": {\"ceiling\": [%s]}} if input.request.prompt == [\"%d\"]\n\n", ceiling, i)
			g += fmt.Sprintf("ceiling := {\"scopes\": {\"ceiling\": [\"a\", \"b\", \"%d\"]}} if input.client.query == \"%d\"\n\n", i, i)
		}
		f := one(p)
		f["g.rego"] = g
		return f
	}
	withRows := func(more string) files {
		f := one(grants)
		f["lists/q/data.json"] = `{"app.example.com": [{"path": "/oauth/client.json", "expires": "2099-12-24"}]}`
		f["q.rego"] = "package admission.policies.q\n\nclient_ids_from := data.lists.q\n\n" + more
		return f
	}
	for name, c := range map[string]struct {
		files files
		q     policies.WhoCanQuery
	}{
		"more settings than are looked at": {many(), policies.WhoCanQuery{Scopes: []string{"a"}}},
		"a resource spelt otherwise": {
			one(grants + "\ndeny_user contains {\"code\": \"d\", \"message\": \"m\"} if \"https://mcp.example/\" in input.effective.resources\n"),
			policies.WhoCanQuery{Resources: []string{"https://mcp.example/"}, Offered: []broker.Resource{{ID: "https://mcp.example"}}},
		},
		"a denial until a row ends":    {withRows("deny contains {\"code\": \"d\", \"message\": \"m\"}\n"), policies.WhoCanQuery{}},
		"another winner until it ends": {withRows("priority := 1\n\nsettings := {\"scopes\": {\"ceiling\": [\"b\"]}}\n"), policies.WhoCanQuery{Scopes: []string{"a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := whoCan(t, load(t, c.files), c.q); len(got.Policies) == 0 || got.Policies[0].Policy != "p" {
				t.Errorf("WhoCan(%+v) = %q, want policy p among those that could", c.q, shown(got))
			}
		})
	}
}

// What is negated twice is a condition that reads as it is.
func TestWhoCanShowsDoubleNegation(t *testing.T) {
	set := load(t, one(admits+"\ndeny_user contains {\"code\": \"d\", \"message\": \"m\"} if not _a\n\n_a if not _b\n\n_b if \"x\" in input.user.groups\n"))
	if got := shown(whoCan(t, set, policies.WhoCanQuery{})); strings.Contains(got, "not _b") || !strings.Contains(got, "_b") {
		t.Errorf("WhoCan = %q, want the denial to stand where _b does", got)
	}
}
