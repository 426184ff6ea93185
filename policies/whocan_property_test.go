package policies_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/policies"
)

// Pools that small guest lists are drawn from. They name the same few hosts,
// scopes and groups, so that policies overlap.
var (
	poolPatterns = []string{
		"https://app.example.com/a", "https://app.example.com/b", "https://app.example.com/*", "https://app.example.com/**",
		"https://*.example.com/a", "https://*.example.com/**", "https://x.app.example.com/a", "https://other.test/a", "https://other.test/*/a",
	}
	poolClients = []string{
		"https://app.example.com/a", "https://app.example.com/b", "https://app.example.com/c", "https://app.example.com/a/b", "https://app.example.com/a?q=1",
		"https://x.app.example.com/a", "https://any.example.com/z/z", "https://other.test/a", "https://other.test/x/a", "https://app.example.com:8443/a",
	}
	poolSettings = []string{
		`settings := {"scopes": {"ceiling": ["r"]}}`,
		`settings := {"scopes": {"ceiling": ["r", "w"], "document": "intersect"}, "redirect": {"loopback": true}}`,
		`settings := {"scopes": {"ceiling": ["r", "w", "x"]}, "redirect": {"relation": "cross_site"}, "document": {"allow_query": true}}`,
		`settings := {"scopes": {"ceiling": ["w"]}, "grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}}`,
		`settings := {"scopes": {"ceiling": ["w", "x"]}, "require": {"groups": ["eng"]}, "redirect": {"loopback": true, "relation": "same_site"}}`,
		`settings := {"scopes": {"ceiling": ["w"]}, "audiences": ["https://mcp.example"], "consent": {"mode": "once"}}`,
		"settings := {\"scopes\": {\"ceiling\": _c}, \"redirect\": {\"loopback\": _l}}\n\ndefault _c := [\"r\"]\n\n_c := [\"r\", \"w\"] if input.published.software_id == \"good\"\n\ndefault _l := false\n\n_l if input.client.host == \"app.example.com\"",
		"settings := {\"scopes\": {\"ceiling\": [s | some s in [\"r\", \"w\", \"x\"]; s != input.published.software_id]}, \"redirect\": {\"loopback\": true}}",
		"settings := {\"scopes\": {\"ceiling\": _c}}\n\n_c := [\"w\"] if {\n\tinput.request.par\n} else := [\"r\", \"x\"] if {\n\tinput.client.path == \"/a\"\n} else := []",
		"settings := {\"scopes\": {\"ceiling\": _c}, \"grant_types\": [\"authorization_code\", \"refresh_token\"], \"refresh_token\": {\"issue\": input.request.pkce}}\n\n_c contains \"r\"\n\n_c contains \"w\" if \"app\" in input.client.labels\n\n_c contains input.published.software_id",
		"settings := {\"scopes\": {\"ceiling\": [\"r\", \"w\"]}} if input.published.software_id == \"good\"\n\nsettings := {\"scopes\": {\"ceiling\": [\"x\"]}, \"redirect\": {\"loopback\": true}} if input.published.software_id != \"good\"",
		"",
	}
	poolApplies = []string{"", "", "", `applies if input.request.redirect.kind == "loopback"`, `applies := input.request.par`, `applies if "good" in input.request.prompt`, `applies if not input.client.query == ""`, `applies if input.client.host == "app.example.com"`}
	poolDenials = []string{
		`deny contains {"code": "d%d", "message": "m"} if input.request.redirect.kind == "loopback"`,
		`deny contains {"code": "d%d", "message": "m"} if input.request.redirect.kind != "https"`,
		`deny contains {"code": "d%d", "message": "m"} if input.client.path == "/a"`,
		`deny contains {"code": "d%d", "message": "m"} if input.client.query != ""`,
		`deny contains {"code": "d%d", "message": "m"} if endswith(input.client_id, "/b")`,
		`deny contains {"code": "d%d", "message": "m"} if count(input.client.segments) > 1`,
		`deny contains {"code": "d%d", "message": "m"} if input.client.host != "other.test"`,
		`deny contains {"code": "d%d", "message": "m"} if not input.client.host in {"app.example.com", "x.app.example.com"}`,
		`deny contains {"code": "d%d", "message": "m"} if input.client_id != "https://app.example.com/a?q=1"`,
		`deny contains {"code": "d%d", "message": "m"} if not input.client_id in ["https://app.example.com/b", "https://other.test/x/a"]`,
		`deny contains {"code": "d%d", "message": "m"} if not "app" in input.client.labels`,
		`deny contains {"code": "d%d", "message": "m"} if input.registration == "cimd"`,
		`deny contains {"code": "d%d", "message": "m"} if "w" in input.request.scopes`,
		`deny_document contains {"code": "d%d", "message": "m"} if "w" in input.effective.scopes`,
		`deny_document contains {"code": "d%d", "message": "m"} if not "w" in input.effective.scopes`,
		`deny_document contains {"code": "d%d", "message": "m"} if count(input.effective.scopes) == 1`,
		`deny_document contains {"code": "d%d", "message": "m"} if input.effective.scopes[_] == "x"`,
		`deny_document contains {"code": sprintf("d%d%%v", [i]), "message": "m"} if input.effective.scopes[i] == "x"`,
		"deny_document contains {\"code\": \"d%d\", \"message\": \"m\"} if {\n\tsome s in input.effective.scopes\n\ts == \"w\"\n\ts in input.request.scopes\n}",
		`deny_document contains {"code": "d%d", "message": "m"} if input.published.software_id != "good"`,
		`deny_document contains {"code": "d%d", "message": "m"} if "refresh_token" in input.effective.grant_types`,
		"deny_user contains {\"code\": \"d%d\", \"message\": \"m\"} if {\n\t\"w\" in input.effective.scopes\n\tnot \"eng\" in input.user.groups\n}",
		"deny_user contains {\"code\": \"d%d\", \"message\": \"m\"} if {\n\tevery g in input.user.groups { g != \"eng\" }\n}",
		`deny_user contains {"code": "d%d", "message": "m"} if 1 / count(input.user.groups) == 1`,
		`deny_user contains {"code": "d%d", "message": "m"} if input.row.owner == "team"`,
		`deny_user contains {"code": "d%d", "message": "m"} if not _staff`,
		`warn contains {"code": "d%d", "message": "m"} if true`,
	}
	poolRows = []string{
		`{"path": "/a"}`, `{"path": "/b", "settings": {"scopes": {"ceiling": ["r"]}}}`, `{"path": "/*", "owner": "team", "settings": {"redirect": {"loopback": false}}}`,
		`{"path": "/**", "expires": "2026-01-01", "settings": {"scopes": {"ceiling": ["w"]}}}`, `{"path": "/c", "expires": "2027-01-01", "owner": "team"}`,
	}
	poolCeilings = []string{`ceiling := {"scopes": {"ceiling": ["r", "w"]}}`, `ceiling := {"redirect": {"loopback": false}}`,
		"default ceiling := {}\n\nceiling := {\"scopes\": {\"ceiling\": [\"r\"]}} if input.published.software_id != \"good\"", ""}
)

const staff = "\n_staff if \"eng\" in input.user.groups\n"

func drawDenials(t *rapid.T) string {
	var out string
	if rapid.Bool().Draw(t, "mild") {
		return out
	}
	for i := range rapid.IntRange(0, 2).Draw(t, "denials") {
		d := fmt.Sprintf(rapid.SampledFrom(poolDenials).Draw(t, "denial"), i)
		out += "\n" + d + "\n"
		if strings.Contains(d, "_staff") && !strings.Contains(out, staff) {
			out += staff
		}
	}
	return out
}

func drawGuestList(t *rapid.T) files {
	f := files{}
	for i := range rapid.IntRange(1, 3).Draw(t, "policies") {
		name := fmt.Sprintf("p%d", i)
		body := "package admission.policies." + name + "\n\n"
		if rapid.IntRange(0, 3).Draw(t, "list") == 0 {
			rows := rapid.SliceOfNDistinct(rapid.SampledFrom(poolRows), 1, 3, rapid.ID[string]).Draw(t, "rows")
			f["lists/"+name+"/data.json"] = `{"app.example.com": [` + strings.Join(rows, ", ") + `]}`
			body += "client_ids_from := data.lists." + name + "\n"
		} else {
			ids := rapid.SliceOfNDistinct(rapid.SampledFrom(poolPatterns), 1, 3, rapid.ID[string]).Draw(t, "patterns")
			body += `client_ids := {"` + strings.Join(ids, `", "`) + "\"}\n"
		}
		body += rapid.SampledFrom([]string{"", "", "\npriority := 1\n", "\nmode := \"warn\"\n", "\nmode := \"shadow\"\n", "\nregistrations := {\"pinned\"}\n"}).Draw(t, "kind")
		f[name+".rego"] = body + "\n" + rapid.SampledFrom(poolSettings).Draw(t, "settings") + "\n\n" + rapid.SampledFrom(poolApplies).Draw(t, "applies") + "\n" + drawDenials(t)
	}
	if rapid.IntRange(0, 2).Draw(t, "guarded") == 0 {
		f["g.rego"] = "package admission.guardrails\n\n" + rapid.SampledFrom(poolCeilings).Draw(t, "ceiling") + "\n" + drawDenials(t)
		if rapid.Bool().Draw(t, "waived") {
			f["g.rego"] += "\nwaivers := [{\"client_id\": \"https://app.example.com/a\", \"policy\": \"p0\", \"code\": \"d0\", \"owner\": \"o\", \"expires\": \"2027-01-01\"}]\n"
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "anyone") == 0 {
		f["any.rego"] = "package admission.anyone\n\nsettings := {\"open\": true, \"scopes\": {\"ceiling\": [\"r\", \"w\"]}, \"redirect\": {\"loopback\": true}}\n" + drawDenials(t)
	}
	return f
}

func drawQuestion(t *rapid.T) policies.WhoCanQuery {
	q := policies.WhoCanQuery{At: noon, Limit: 1000,
		Scopes: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"r", "w", "x"}), 0, 2, rapid.ID[string]).Draw(t, "scopes")}
	switch rapid.IntRange(0, 4).Draw(t, "redirect") {
	case 0, 1:
		q.Loopback = true
	case 2:
		q.Relation = "cross_site"
	}
	q.Refresh = rapid.IntRange(0, 3).Draw(t, "refresh") == 0
	if rapid.IntRange(0, 3).Draw(t, "consent") == 0 {
		q.Consent = "once"
	}
	if rapid.IntRange(0, 3).Draw(t, "resource") == 0 {
		q.Resources = []string{"https://mcp.example"}
	}
	return q
}

// drawRequest is a request that asks for what the question is about, from a
// client and a person who may be anybody.
func drawRequest(t *rapid.T, q policies.WhoCanQuery) (url string, change func(*broker.Query)) {
	url = rapid.SampledFrom(poolClients).Draw(t, "client")
	groups := rapid.SampledFrom([][]string{nil, {"eng"}, {"eng", "ops"}, {"ops"}}).Draw(t, "groups")
	software := rapid.SampledFrom([]string{"", "good", "w"}).Draw(t, "software")
	par, pinned := rapid.Bool().Draw(t, "par"), rapid.IntRange(0, 3).Draw(t, "pinned") == 0
	prompt := rapid.SampledFrom([][]string{nil, {"good"}}).Draw(t, "prompt")
	more := rapid.SampledFrom([][]string{nil, nil, {"r"}, {"x"}}).Draw(t, "more")
	silent := rapid.Bool().Draw(t, "silent") && len(q.Scopes) == 0
	return url, func(b *broker.Query) {
		in := &b.Input
		asFor(b, q)
		if !silent {
			for _, s := range more {
				if !slices.Contains(in.Request.Scopes, s) {
					in.Request.Scopes = append(in.Request.Scopes, s)
				}
			}
		}
		in.User.Groups, in.Request.PAR, in.Request.Prompt = groups, par, prompt
		in.Published = map[string]any{"software_id": software}
		if pinned {
			in.Registration = broker.RegistrationPinned
		}
	}
}

// asFor makes a request one for what the question asks.
func asFor(b *broker.Query, q policies.WhoCanQuery) {
	in := &b.Input
	in.Request.Scopes, in.Request.Resources = slices.Clone(q.Scopes), q.Resources
	uri := in.Request.RedirectURI
	switch {
	case q.Loopback:
		uri = "http://127.0.0.1/cb"
	case q.Relation != "":
		uri = "https://elsewhere.test/cb"
	}
	id, _ := cimd.Parse(in.ClientID)
	r, err := cimd.ClassifyRedirect(uri, id)
	if err != nil {
		panic(err)
	}
	in.Request.RedirectURI, in.Redirects = uri, []cimd.Redirect{r}
	in.Request.Redirect = broker.RedirectInput{Kind: r.Kind, Host: r.Host, Relation: r.Relation}
	b.Document.RedirectURIs, b.Document.GrantTypes = []string{uri}, []string{"authorization_code", "refresh_token"}
}

// granted plays the phases up to the person and says who granted what was
// asked: policy and pattern of every winner.
func granted(set *policies.Set, tt testing.TB, q policies.WhoCanQuery, url string, change func(*broker.Query)) (winners map[string]string, why string) {
	var d broker.Decision
	for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser} {
		d = set.Decide(context.Background(), question(tt, url, phase, change))
		if !d.Allowed {
			return nil, fmt.Sprintf("%s: %s (%s)", phase, d.Reason, d.Detail)
		}
	}
	for _, s := range q.Scopes {
		if !slices.Contains(d.Effective.Scopes, s) {
			return nil, "scope " + s
		}
	}
	if q.Refresh && (!d.Settings.RefreshToken.Issue || !slices.Contains(d.Effective.GrantTypes, "refresh_token")) {
		return nil, "refresh"
	}
	if q.Consent == "once" && d.Settings.Consent.Mode != "once" {
		return nil, "consent"
	}
	winners = map[string]string{}
	for _, c := range d.Candidates {
		if slices.Contains(d.Winner, c.Policy) {
			winners[c.Policy] = c.Pattern
		}
	}
	return winners, ""
}

// names reports whether an answer has the policy and pattern.
func names(a policies.WhoCanAnswer, policy, pattern string) bool {
	return slices.ContainsFunc(a.Could, func(g policies.WhoCanGrant) bool { return g.Policy == policy && g.Pattern == pattern })
}

// TestWhoCanIsHeldToDecisions: whoever is granted something is named, with and
// without the client's name; and where nothing is left open, a request is
// granted it.
func TestWhoCanIsHeldToDecisions(t *testing.T) {
	var grants, claims int
	rapid.Check(t, func(rt *rapid.T) {
		f := drawGuestList(rt)
		set, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs(), Deadline: 5 * time.Second})
		if err != nil {
			rt.Fatalf("Load = %v, findings %v", err, findings)
		}
		q := drawQuestion(rt)
		answer, err := policies.WhoCan(context.Background(), set, q)
		if err != nil {
			rt.Fatal(err)
		}
		for range 12 {
			url, change := drawRequest(rt, q)
			winners, _ := granted(set, t, q, url, change)
			one := q
			one.Client = url
			about, err := policies.WhoCan(context.Background(), set, one)
			if err != nil {
				rt.Fatal(err)
			}
			for policy, pattern := range winners {
				grants++
				if !names(answer, policy, pattern) || !names(about, policy, pattern) {
					rt.Fatalf("%v\n%+v\nis granted to %s by %s (%s); WhoCan shows\n%s\nabout the client\n%s", f, q, url, policy, pattern, shown(answer), shown(about))
				}
			}
		}
		for _, g := range answer.Could {
			if !g.Exact || len(g.Conditions) > 0 || strings.HasPrefix(g.Pattern, "(") {
				continue
			}
			claims++
			url := strings.NewReplacer("/**", "/q", "/*", "/q", "*.", "q.").Replace(g.Pattern)
			winners, why := granted(set, t, q, url, func(b *broker.Query) {
				asFor(b, q)
				if !slices.Contains(g.Registrations, "cimd") {
					b.Input.Registration = broker.RegistrationPinned
				}
			})
			if _, ok := winners[g.Policy]; !ok {
				rt.Fatalf("%v\n%+v\nWhoCan claims that %s grants it without a condition; %s is refused: %s\n%s", f, q, g.Policy, url, why, shown(answer))
			}
		}
	})
	t.Logf("%d grants, %d claims", grants, claims)
	if grants == 0 || claims == 0 {
		t.Errorf("%d grants and %d claims without conditions were checked, want some of both", grants, claims)
	}
}
