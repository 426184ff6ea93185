package policies_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

func whoCan(t testing.TB, set *policies.Set, q policies.WhoCanQuery) policies.WhoCanAnswer {
	t.Helper()
	q.At = noon
	a, err := policies.WhoCan(context.Background(), set, q)
	if err != nil {
		t.Fatalf("WhoCan(%+v) = %v", q, err)
	}
	return a
}

// shown writes an answer, a line for each grant.
func shown(a policies.WhoCanAnswer) string {
	var b strings.Builder
	for _, g := range a.Could {
		b.WriteString(strings.TrimPrefix(g.Pattern, "https://") + ":")
		for _, c := range g.Conditions {
			b.WriteString(" [" + c.String() + "]")
		}
		if !g.Exact {
			fmt.Fprintf(&b, " inexact %q", g.Inexact)
		}
		b.WriteString("\n")
	}
	for _, g := range a.Never {
		b.WriteString("never " + strings.TrimPrefix(g.Pattern, "https://") + ": " + g.Conditions[0].String() + "\n")
	}
	return b.String()
}

func TestWhoCan(t *testing.T) {
	const writes = `settings := {"scopes": {"ceiling": ["r", "w"]}, "redirect": {"loopback": true}}` + "\n"
	loop := policies.WhoCanQuery{Loopback: true}
	write := policies.WhoCanQuery{Scopes: []string{"w"}}
	const client = "app.example.com/oauth/client.json:"
	waiver := func(until string) string {
		return "package admission.guardrails\n\nwaivers := [{\"client_id\": \"" + example + "\", \"policy\": \"p\", \"code\": \"d\", \"owner\": \"o\", \"expires\": \"" + until + "\"}]\n"
	}
	for name, c := range map[string]struct {
		rules string
		more  files
		q     policies.WhoCanQuery
		want  string
	}{
		"granted":      {writes, nil, write, "app.example.com/oauth/client.json:\n"},
		"beyond":       {writes, nil, policies.WhoCanQuery{Scopes: []string{"x"}}, ""},
		"both":         {writes, nil, policies.WhoCanQuery{Scopes: []string{"w", "r"}, Loopback: true}, "app.example.com/oauth/client.json:\n"},
		"one of two":   {writes, nil, policies.WhoCanQuery{Scopes: []string{"w", "x"}}, ""},
		"denied":       {writes + `deny contains {"code": "l", "message": "m"} if input.request.redirect.kind == "loopback"`, nil, loop, "never app.example.com/oauth/client.json: refused deny l (p.rego:6)\n"},
		"not denied":   {writes + `deny contains {"code": "l", "message": "m"} if input.request.redirect.kind == "https"`, nil, loop, "app.example.com/oauth/client.json:\n"},
		"group":        {writes + "deny_user contains {\"code\": \"eng\", \"message\": \"m\"} if {\n\t\"w\" in input.effective.scopes\n\tnot \"eng\" in input.user.groups\n}", nil, write, "app.example.com/oauth/client.json: [unless deny_user eng (p.rego:6): not \"eng\" in input.user.groups]\n"},
		"group unsaid": {writes + "deny_user contains {\"code\": \"eng\", \"message\": \"m\"} if {\n\t\"q\" in input.effective.scopes\n\tnot \"eng\" in input.user.groups\n}", nil, write, "app.example.com/oauth/client.json:\n"},
		"applies":      {writes + `applies if input.request.par`, nil, write, "app.example.com/oauth/client.json: [when applies (p.rego:6): input.request.par]\n"},
		"by client id": {`settings := {"scopes": {"ceiling": ["w"]}, "document": {"allow_query": true}}` + "\n" +
			`deny contains {"code": "plain", "message": "m"} if input.client_id == "` + example + `"`, nil, write,
			client + " [unless deny plain (p.rego:6): input.client_id == \"" + example + "\"]\n"},
		"by client id, no query": {writes + `deny contains {"code": "plain", "message": "m"} if input.client_id == "` + example + `"`, nil, write,
			"never app.example.com/oauth/client.json: refused deny plain (p.rego:6)\n"},
		"ceiling": {writes, files{"g.rego": "package admission.guardrails\n\nceiling := {\"scopes\": {\"ceiling\": [\"r\"]}}\n"}, write, ""},
		"ceiling by the document": {writes, files{"g.rego": "package admission.guardrails\n\ndefault ceiling := {}\n\nceiling := {\"scopes\": {\"ceiling\": [\"r\"]}} if input.published.software_id == \"x\"\n"}, write,
			client + " [when ceiling (g.rego:3): no other rule for the same value holds]\n"},
		"ceiling that makes no difference": {writes, files{"g.rego": "package admission.guardrails\n\ndefault ceiling := {}\n\nceiling := {\"scopes\": {\"ceiling\": [\"r\"]}} if input.published.software_id == \"x\"\n"}, loop, client + "\n"},
		"guardrails":                       {writes, files{"g.rego": "package admission.guardrails\n\ndeny_document contains {\"code\": \"g\", \"message\": \"m\"} if \"w\" in input.effective.scopes\n"}, write, "never app.example.com/oauth/client.json: refused deny_document g (g.rego:3)\n"},
		"waived":                           {writes + `deny contains {"code": "d", "message": "m"} if true`, files{"g.rego": waiver("2026-12-31")}, write, client + "\n"},
		"waived before": {writes + `deny contains {"code": "d", "message": "m"} if true`, files{"g.rego": waiver("2026-11-25")}, write,
			"never app.example.com/oauth/client.json: refused deny d (p.rego:6)\n"},
		"settings by the document": {"settings := {\"scopes\": {\"ceiling\": _c}}\n\ndefault _c := [\"r\"]\n\n_c := [\"r\", \"w\"] if input.published.software_id == \"x\"", nil, write,
			client + " [when (p.rego:9): input.published.software_id == \"x\"]\n"},
		"set": {"settings := {\"scopes\": {\"ceiling\": _c}}\n\n_c contains \"r\"\n\n_c contains \"w\" if input.published.software_id == \"x\"", nil, policies.WhoCanQuery{Scopes: []string{"x"}}, ""},
		"settings from the document": {"settings := {\"scopes\": {\"ceiling\": input.published.scopes}}", nil, write,
			client + " inexact [\"scopes.ceiling depends on the request or the document\"]\n"},
		"no flow": {`settings := {"scopes": {"ceiling": ["w"]}, "grant_types": []}`, nil, write,
			client + " inexact [\"a request made up for it is refused in phase document: document_nothing_usable (no grant type and response type are left that could start a flow)\"]\n"},
		"demands": {`settings := {"scopes": {"ceiling": ["w"], "document": "intersect"}, "require": {"groups": ["a", "b"], "par": true}}`, nil, write,
			client + " [when (p.rego:5): require.groups: the person is in a or b] [when (p.rego:5): require.par: the request is pushed] [when (p.rego:5): scopes.document: the document lists the scope, or has no member scope]\n"},
		"skip": {`settings := {"consent": {"mode": "skip"}}`, nil, policies.WhoCanQuery{Consent: "skip"},
			client + " [when (p.rego:5): consent.mode: the redirect is https on the client's own origin, and the client authenticates with a key and has no other method]\n"},
		"helper":                       {writes + "deny_user contains {\"code\": \"eng\", \"message\": \"m\"} if not _eng\n\n_eng if \"eng\" in input.user.groups", nil, write, client + " [unless deny_user eng (p.rego:6): not _eng]\n"},
		"helper that makes the denial": {writes + "deny contains d if {\n\tinput.request.par\n\td := {\"code\": \"par\", \"message\": input.request.prompt[0]}\n}", nil, write, client + " [unless deny par (p.rego:7): input.request.par]\n"},
		"outranked":                    {writes, files{"q.rego": policy("q", "priority := 1\n\nsettings := {}")}, write, "never app.example.com/oauth/client.json: refused policy q ranks over it\n"},
		"outranked at times":           {writes, files{"q.rego": policy("q", "priority := 1\n\nsettings := {}\n\napplies if input.request.par")}, write, client + " [unless a policy that ranks over it matches too: q]\n"},
		"equal rank":                   {writes, files{"q.rego": policy("q", "settings := {}")}, write, client + " inexact [\"at equal rank the settings are met with those of q\"]\n"},
		"veto of another": {writes, files{"q.rego": "package admission.policies.q\n\nclient_ids := {\"https://*.example.com/**\"}\n\ndeny_user contains {\"code\": \"late\", \"message\": \"m\"} if input.clock.hour > 18\n"}, write,
			client + " [unless deny_user late (q.rego:5): input.clock.hour > 18]\n"},
		"veto-only":    {`deny contains {"code": "d", "message": "m"} if input.request.par`, nil, write, ""},
		"warn":         {writes + "mode := \"warn\"\n\n" + `deny contains {"code": "d", "message": "m"} if true`, nil, write, client + "\n"},
		"off":          {writes + `mode := "off"`, nil, write, ""},
		"refresh only": {writes + `deny_refresh contains {"code": "d", "message": "m"} if true`, nil, write, client + "\n"},
		"error": {writes + `deny_user contains {"code": "d", "message": "m"} if { input.user.sub == "x"; to_number("x") == 1 }`, nil, write,
			client + " inexact [\"deny_user of policy p: partial evaluation gave up: p.rego:6: eval_builtin_error: to_number: strconv.ParseFloat: parsing \\\"x\\\": invalid syntax (p.rego:6)\"]\n"},
		"anyone": {`settings := {}`, files{"a.rego": "package admission.anyone\n\nsettings := {\"open\": true, \"scopes\": {\"ceiling\": [\"w\"]}}\n"}, policies.WhoCanQuery{Scopes: []string{"w"}, Anyone: true},
			"(every valid client identifier): [unless a policy that ranks over it matches too: p]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := files{"p.rego": policy("p", c.rules)}
			for n, b := range c.more {
				f[n] = b
			}
			if got := shown(whoCan(t, load(t, f), c.q)); got != c.want {
				t.Errorf("WhoCan shows\n%swant\n%s", got, c.want)
			}
		})
	}
}

// Rows are looked at one by one: their settings narrow, those that are over do
// not count, and those that end show when.
func TestWhoCanByRow(t *testing.T) {
	set := load(t, files{"p.rego": `package admission.policies.p

client_ids_from := data.lists.p

settings := {"scopes": {"ceiling": ["r", "w"]}}
`, "lists/p/data.json": `{"app.example.com": [
		{"path": "/all"}, {"path": "/narrow", "settings": {"scopes": {"ceiling": ["r"]}}},
		{"path": "/over", "expires": "2026-11-25"}, {"path": "/soon", "expires": "2026-11-26"},
		{"path": "/*", "owner": "team"}]}`})
	a := whoCan(t, set, policies.WhoCanQuery{Scopes: []string{"w"}})
	var got []string
	for _, g := range a.Could {
		got = append(got, strings.TrimSpace(g.Row+" "+g.Expires))
	}
	list := "data.lists.p[app.example.com] "
	want := []string{list + "/all", list + "/soon 2026-11-26", list + "/*"}
	if !slices.Equal(got, want) || a.Looked != 4 {
		t.Errorf("rows %q of %d, want %q of 4", got, a.Looked, want)
	}
	if c := a.Could[2].Conditions; len(c) != 1 || c[0].Text != "a more specific row of the same list matches too" {
		t.Errorf("the wide row has conditions %v, want that /narrow decides for itself", c)
	}
	for client, n := range map[string]int{"https://app.example.com/all": 1, "https://app.example.com/narrow": 0, "https://app.example.com/over": 1, "https://app.example.com/x": 1, "https://app.example.com/x/y": 0} {
		if a := whoCan(t, set, policies.WhoCanQuery{Scopes: []string{"w"}, Client: client}); len(a.Could) != n {
			t.Errorf("%s: %v, want %d", client, shown(a), n)
		}
	}
}

// A wildcard leaves some hosts no room: a rule about them is settled without
// knowing which client it is.
func TestWhoCanKnowsTheHostsOfAWildcard(t *testing.T) {
	for rule, want := range map[string]string{
		`input.client.host != "other.example"`:                           "never *.agents.example/**: refused deny d (g.rego:3)\n",
		`not input.client.host in {"other.example", "third.example"}`:    "never *.agents.example/**: refused deny d (g.rego:3)\n",
		`not input.client_id in ["https://agents.example/a"]`:            "never *.agents.example/**: refused deny d (g.rego:3)\n",
		`input.client.host == "other.example"`:                           "*.agents.example/**:\n",
		`input.client_id in data.blocked.ids`:                            "*.agents.example/**:\n",
		`not input.client.host in {"other.example", "a.agents.example"}`: "*.agents.example/**: [unless deny d (g.rego:3): not input.client.host in {\"other.example\", \"a.agents.example\"}]\n",
		`input.client_id != "https://a.agents.example/c"`:                "*.agents.example/**: [unless deny d (g.rego:3): input.client_id != \"https://a.agents.example/c\"]\n",
	} {
		set := load(t, files{"p.rego": "package admission.policies.p\n\nclient_ids := {\"https://*.agents.example/**\"}\n\nsettings := {\"redirect\": {\"loopback\": true}}\n",
			"g.rego": "package admission.guardrails\n\ndeny contains {\"code\": \"d\", \"message\": \"m\"} if " + rule + "\n", "blocked/data.json": `{"ids": ["https://other.example/c"]}`})
		if got := shown(whoCan(t, set, policies.WhoCanQuery{Loopback: true})); got != want {
			t.Errorf("%s: WhoCan shows\n%swant\n%s", rule, got, want)
		}
	}
}

// One table of dimensions: each is granted by its own member of settings.
func TestWhoCanDimensions(t *testing.T) {
	for name, c := range map[string]struct {
		q           policies.WhoCanQuery
		grants, not string
	}{
		"scope":            {policies.WhoCanQuery{Scopes: []string{"w"}}, `"scopes": {"ceiling": ["w"]}`, `"scopes": {"ceiling": ["r"]}`},
		"resource":         {policies.WhoCanQuery{Resources: []string{"https://API.example/"}}, `"audiences": ["https://api.example"]`, `"audiences": ["https://other.example"]`},
		"grant":            {policies.WhoCanQuery{Grants: []string{"refresh_token"}}, `"grant_types": ["authorization_code", "refresh_token"]`, `"grant_types": ["authorization_code"]`},
		"loopback":         {policies.WhoCanQuery{Loopback: true}, `"redirect": {"loopback": true}`, `"redirect": {"relation": "cross_site"}`},
		"private scheme":   {policies.WhoCanQuery{PrivateScheme: true}, `"redirect": {"private_scheme": true}`, `"redirect": {"loopback": true}`},
		"cross site":       {policies.WhoCanQuery{Relation: "cross_site"}, `"redirect": {"relation": "cross_site"}`, `"redirect": {"relation": "same_site"}`},
		"same site":        {policies.WhoCanQuery{Relation: "same_site"}, `"redirect": {"relation": "cross_site"}`, `"redirect": {"relation": "same_origin"}`},
		"consent once":     {policies.WhoCanQuery{Consent: "once"}, `"consent": {"mode": "once"}`, `"consent": {"mode": "always"}`},
		"consent skip":     {policies.WhoCanQuery{Consent: "skip"}, `"consent": {"mode": "skip"}`, `"consent": {"mode": "once"}`},
		"refresh":          {policies.WhoCanQuery{Refresh: true}, `"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}`, `"refresh_token": {"issue": true}`},
		"network":          {policies.WhoCanQuery{Network: true}, `"network": {"allow_cidrs": ["10.0.0.0/8"]}`, `"network": {"allow_cidrs": []}`},
		"no key":           {policies.WhoCanQuery{NoKey: true}, `"token_endpoint_auth_methods": ["none", "private_key_jwt"]`, `"token_endpoint_auth_methods": ["private_key_jwt"]`},
		"no key, demanded": {policies.WhoCanQuery{NoKey: true}, ``, `"require": {"client_auth": true}`},
	} {
		t.Run(name, func(t *testing.T) {
			if a := whoCan(t, load(t, files{"p.rego": policy("p", "settings := {"+c.grants+"}")}), c.q); len(a.Could) != 1 || !a.Could[0].Exact {
				t.Errorf("%s: %v, want one that could, exactly", c.grants, a.Could)
			}
			if a := whoCan(t, load(t, files{"p.rego": policy("p", "settings := {"+c.not+"}")}), c.q); len(a.Could) != 0 {
				t.Errorf("%s: %v, want nobody", c.not, a.Could)
			}
		})
	}
}

// What is offered bounds the answer where it is known.
func TestWhoCanAmongTheResources(t *testing.T) {
	set := load(t, files{"p.rego": policy("p", `settings := {"scopes": {"ceiling": ["r", "w"]}, "audiences": ["https://a.example"]}`)})
	for name, c := range map[string]struct {
		resources []broker.Resource
		n         int
	}{
		"not known":      {nil, 1},
		"with the scope": {[]broker.Resource{{ID: "https://a.example", Scopes: []string{"w"}}}, 1},
		"without it":     {[]broker.Resource{{ID: "https://a.example", Scopes: []string{"r"}}}, 0},
		"another's":      {[]broker.Resource{{ID: "https://a.example", Scopes: []string{"r"}}, {ID: "https://b.example"}}, 0},
	} {
		if a := whoCan(t, set, policies.WhoCanQuery{Scopes: []string{"w"}, Offered: c.resources}); len(a.Could) != c.n {
			t.Errorf("%s: %v, want %d", name, shown(a), c.n)
		}
	}
}

// A scope that nobody names is told apart from one that nobody gets.
func TestWhoCanNamesWhatIsMisspelt(t *testing.T) {
	set := load(t, files{"p.rego": policy("p", `settings := {"scopes": {"ceiling": ["mcp:read", "mcp:write"]}}`), "g.rego": "package admission.guardrails\n\nceiling := {\"scopes\": {\"ceiling\": [\"mcp:read\"]}}\n"})
	for scope, nearest := range map[string]string{"mcp:wirte": "mcp:write", "admin": ""} {
		if a := whoCan(t, set, policies.WhoCanQuery{Scopes: []string{scope}}); !slices.Equal(a.Unnamed, []string{scope}) || a.Nearest[0] != nearest {
			t.Errorf("%s: unnamed %q, nearest %q, want %q", scope, a.Unnamed, a.Nearest, nearest)
		}
	}
	if a := whoCan(t, set, policies.WhoCanQuery{Scopes: []string{"mcp:write"}}); len(a.Unnamed)+len(a.Could) != 0 {
		t.Errorf("mcp:write: unnamed %q, %v, want a scope that nobody gets", a.Unnamed, a.Could)
	}
}

func TestWhoCanRefusesWhatNoRequestIs(t *testing.T) {
	set := load(t, one(admits))
	for name, q := range map[string]policies.WhoCanQuery{
		"two redirects": {At: noon, Loopback: true, Relation: "same_site"}, "skip on loopback": {At: noon, Loopback: true, Consent: "skip"},
		"relation": {At: noon, Relation: "same_origin"}, "consent": {At: noon, Consent: "always"}, "no time": {}, "client": {At: noon, Client: "http://x"}, "limit": {At: noon, Limit: -1},
	} {
		if _, err := policies.WhoCan(t.Context(), set, q); err == nil {
			t.Errorf("%s: WhoCan took it", name)
		}
	}
}
