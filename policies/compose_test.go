package policies_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/policies"
)

// policy writes a policy that names the example client, with its own rules.
func policy(name, rules string) string {
	return "package admission.policies." + name + "\n\nclient_ids := {\"" + example + "\"}\n\n" + rules + "\n"
}

func TestPriorityOverSpecificity(t *testing.T) { // PF-07
	set := load(t, files{
		"a.rego": policy("a", `settings := {"client_ttl": "1d"}`),
		"b.rego": "package admission.policies.b\n\nclient_ids := {\"https://*.example.com/**\"}\n\npriority := 1\n\nsettings := {\"client_ttl\": \"2d\"}\n",
	})
	d := decide(t, set, example, broker.PhaseURL)
	if !slices.Equal(d.Winner, []string{"b"}) || d.Settings.ClientTTL.String() != "2d" || d.Why != "priority 1 over 0 (policy a)" {
		t.Errorf("winner %v, ttl %s, why %q, want b by priority", d.Winner, d.Settings.ClientTTL, d.Why)
	}
}

func TestEqualRankMeetsBoth(t *testing.T) {
	set := load(t, files{
		"a.rego": policy("a", `settings := {"scopes": {"ceiling": ["r", "w"], "default": ["r", "w"]}, "client_ttl": "1d", "require": {"groups": ["eng"]}}`),
		"b.rego": policy("b", `settings := {"scopes": {"ceiling": ["r", "x"]}, "client_ttl": "2d", "require": {"groups": ["ops"]}}`),
	})
	d := decide(t, set, example, broker.PhaseUser, groups("eng", "ops"))
	allowed(t, d)
	if !slices.Equal(d.Winner, []string{"a", "b"}) || !slices.Equal(d.Settings.Scopes.Ceiling, []string{"r"}) || d.Settings.ClientTTL.String() != "1d" ||
		len(d.Settings.Scopes.Default) != 0 || !slices.Equal(d.Settings.Require.Groups, []string{"eng", "ops"}) {
		t.Errorf("winner %v, settings %+v, want the meet of both", d.Winner, d.Settings)
	}
	// A union of groups must not let in who satisfies one side only.
	refused(t, decide(t, set, example, broker.PhaseUser, groups("eng")), broker.ReasonGroupRequired)
	refused(t, decide(t, set, example, broker.PhaseRefresh, groups("ops")), broker.ReasonGroupRequired)
}

// A ceiling that says nothing about a client would bound nothing.
func TestUndefinedCeilingIsAnError(t *testing.T) {
	guard := func(rules string) files {
		return files{"p.rego": policy("p", `settings := {"scopes": {"ceiling": ["a"], "default": ["a"]}}`), "g.rego": "package admission.guardrails\n\n" + rules + "\n"}
	}
	some := `ceiling := {"client_ttl": "1d"} if input.published.client_name == "other"`
	set := load(t, guard(some))
	refused(t, decide(t, set, example, broker.PhaseDocument), broker.ReasonPolicyError)
	allowed(t, decide(t, set, example, broker.PhaseURL))
	set = load(t, guard("default ceiling := {}\n\n"+some))
	allowed(t, decide(t, set, example, broker.PhaseDocument))
}

func TestGroupsAreAskedOfPeopleOnly(t *testing.T) {
	set := load(t, one("client_ids := {\""+example+"\"}\n\nsettings := {\"require\": {\"groups\": [\"eng\"]}}\n"))
	allowed(t, decide(t, set, example, broker.PhaseURL))
	allowed(t, decide(t, set, example, broker.PhaseDocument))
	refused(t, decide(t, set, example, broker.PhaseUser), broker.ReasonGroupRequired)
	refused(t, decide(t, set, example, broker.PhaseRefresh, groups("sales")), broker.ReasonGroupRequired)
	allowed(t, decide(t, set, example, broker.PhaseUser, groups("sales", "eng")))
}

// A denial in any matching policy vetoes: a loser, a veto-only policy and the
// winner itself. What shadows or is off does not.
func TestVeto(t *testing.T) {
	deny := `deny contains {"code": "no", "message": "not today", "user_message": "Ask the help desk.", "remedy": "wait"} if true`
	for name, c := range map[string]struct {
		rules  string
		vetoes bool
	}{
		"winner":    {"priority := 5\n\nsettings := {}\n\n" + deny, true},
		"loser":     {"priority := -5\n\nsettings := {}\n\n" + deny, true},
		"veto-only": {deny, true},
		"warn":      {"priority := -5\n\nmode := \"warn\"\n\n" + deny, false},
		"shadow":    {"mode := \"shadow\"\n\n" + deny, false},
		"off":       {"mode := \"off\"\n\n" + deny, false},
		"applies":   {"applies := input.client.host == \"x\"\n\n" + deny, false},
		"pinned":    {"registrations := {\"pinned\"}\n\n" + deny, false},
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, files{"p.rego": policy("p", `settings := {}`), "q.rego": policy("q", c.rules)})
			d := decide(t, set, example, broker.PhaseDocument)
			if !c.vetoes {
				allowed(t, d)
				if name == "warn" && (len(d.Warnings) != 1 || d.Warnings[0].Policy != "q") {
					t.Errorf("warnings = %+v, want the one of q", d.Warnings)
				}
				return
			}
			refused(t, d, broker.ReasonPolicyDenied)
			if len(d.Denials) != 1 || d.Detail != "not today" || d.UserMessage != "Ask the help desk." {
				t.Fatalf("denials = %+v, detail %q, user message %q", d.Denials, d.Detail, d.UserMessage)
			}
			n := d.Denials[0]
			if n.Policy != "q" || n.Rule != "deny" || n.Code != "no" || n.Remedy != "wait" || n.Effect != "refuse" || !strings.HasPrefix(n.Location, "q.rego:") || n.Location == "q.rego:0" {
				t.Errorf("denial = %+v", n)
			}
		})
	}
}

// A denial by exact URL or by host is found before anything is fetched (H-02).
func TestDenialBeforeFetch(t *testing.T) {
	set := load(t, files{"p.rego": policy("p", `settings := {}`), "g.rego": `package admission.guardrails

deny contains {"code": "blocked_host", "message": "this host is blocked"} if input.client.host in data.blocked.hosts

deny contains {"code": "blocked_url", "message": "this client is blocked"} if {
	input.client_id in data.blocked.urls
}
`, "blocked/data.json": `{"hosts": ["evil.example"], "urls": ["` + example + `"]}`})
	for url, at := range map[string]string{example: "g.rego:5", "https://evil.example/x": "g.rego:3"} {
		d := decide(t, set, url, broker.PhaseURL)
		refused(t, d, broker.ReasonPolicyDenied)
		if len(d.Denials) != 1 || d.Denials[0].Policy != "guardrails" || d.Denials[0].Location != at {
			t.Errorf("%s: denials = %+v, want one of the guardrails at %s", url, d.Denials, at)
		}
	}
}

func TestGuardrailsWinOverAll(t *testing.T) {
	guard := "package admission.guardrails\n\ndeny_user contains {\"code\": \"g\", \"message\": \"guarded\"} if \"out\" in input.user.groups\n\nceiling := {\"scopes\": {\"ceiling\": [\"a\"]}, \"client_ttl\": \"1d\"}\n"
	root := files{"g.rego": guard}
	set := loadConfig(t, policies.Config{Guardrails: root.fs(), Deadline: 5 * time.Second, Maxima: map[string]any{"access_token": map[string]any{"ttl": "1m"}},
		FS: files{"p.rego": policy("p", `settings := {"scopes": {"ceiling": ["a", "b"], "default": ["a", "b"]}, "client_ttl": "30d"}
deny_user contains {"code": "p", "message": "policy"} if "out" in input.user.groups
deny_user contains {"code": "e", "message": sprintf("%v", [1 / count(input.user.groups)])} if not "fine" in input.user.groups`)}.fs()})
	d := decide(t, set, example, broker.PhaseUser, groups("fine"))
	allowed(t, d)
	if !slices.Equal(d.Settings.Scopes.Ceiling, []string{"a"}) || !slices.Equal(d.Effective.Scopes, []string{"a"}) || d.Settings.ClientTTL.String() != "1d" || d.Settings.AccessToken.TTL.String() != "1m" {
		t.Errorf("settings = %+v, effective %v, want bounded by guardrails and maxima", d.Settings, d.Effective)
	}
	d = decide(t, set, example, broker.PhaseUser, groups("out", "fine"))
	refused(t, d, broker.ReasonPolicyDenied)
	if len(d.Denials) != 2 || d.Denials[0].Policy != "guardrails" || d.Detail != "guarded" {
		t.Errorf("denials = %+v, want the guardrails first", d.Denials)
	}
	refused(t, decide(t, set, example, broker.PhaseUser), broker.ReasonPolicyError) // division by zero
}

// A denial of the guardrails is told before a broken policy is.
func TestGuardrailsBeforePolicyError(t *testing.T) {
	set := load(t, files{
		"g.rego": "package admission.guardrails\n\ndeny contains {\"code\": \"g\", \"message\": \"guarded\"} if input.client.host == \"app.example.com\"\n",
		"p.rego": policy("p", "settings := {}\n\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if 1 / count(input.request.prompt) == 2"),
	})
	d := decide(t, set, example, broker.PhaseURL)
	refused(t, d, broker.ReasonPolicyDenied)
	if d.Detail != "guarded" {
		t.Errorf("detail = %q, want the denial of the guardrails", d.Detail)
	}
}

// Who is silent about methods and is bounded by a row still wants the
// strongest, also after meeting a policy of equal rank that names more.
func TestStrongestSurvivesTheMeet(t *testing.T) {
	row := `package admission.policies.%s

client_ids_from := data.l.hosts

settings := {}
`
	set := load(t, files{
		"a.rego": policy("a", `settings := {"token_endpoint_auth_methods": ["none", "private_key_jwt"]}`), "b.rego": fmt.Sprintf(row, "b"),
		"l/data.json": `{"hosts": {"app.example.com": [{"path": "/oauth/client.json", "settings": {"token_endpoint_auth_methods": ["none", "private_key_jwt"]}}]}}`})
	d := decide(t, set, example, broker.PhaseDocument, func(q *broker.Query) {
		q.Document.AuthMethodsSupported, q.Document.JWKSURI = []string{"none", "private_key_jwt"}, "https://app.example.com/jwks"
		q.Offer.AuthMethods = []string{"private_key_jwt", "none"}
	})
	if !slices.Equal(d.Winner, []string{"a", "b"}) || !slices.Equal(d.Effective.AuthMethods, []string{"private_key_jwt"}) {
		t.Errorf("winner %v, methods %v (%s), want both and the key alone", d.Winner, d.Effective.AuthMethods, d.Detail)
	}
}

// Defaults fill what the winner leaves open, strict values the rest.
func TestSettingsAreCompleted(t *testing.T) {
	set := load(t, files{"p.rego": policy("p", `settings := {"client_ttl": "3d", "redirect": {"loopback": true}}`),
		"d.rego": "package admission.defaults\n\nsettings := {\"client_ttl\": \"9d\", \"refresh_token\": {\"issue\": true}, \"redirect\": {\"relation\": \"same_site\"}}\n"})
	s := decide(t, set, example, broker.PhaseURL).Settings
	if s.ClientTTL.String() != "3d" || !s.Redirect.Loopback || s.Redirect.Relation != "same_site" || !s.RefreshToken.Issue || s.AccessToken.TTL.String() != "5m" || !s.Require.PKCE {
		t.Errorf("settings = %+v", s)
	}
}

// Two URLs on one host get different scopes and different groups (G-05).
func TestTwoURLsOnOneHost(t *testing.T) {
	web, code := "https://claude.ai/oauth/mcp-oauth-client-metadata", "https://claude.ai/oauth/claude-code-client-metadata"
	set := load(t, files{
		"web.rego":  "package admission.policies.web\n\nclient_ids := {\"" + web + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"mcp:read\"]}}\n",
		"code.rego": "package admission.policies.code\n\nclient_ids := {\"" + code + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"mcp:read\", \"mcp:write\"]}}\n\ndeny_user contains {\"code\": \"write_needs_eng\", \"message\": \"write access is for engineering\"} if {\n\t\"mcp:write\" in input.effective.scopes\n\tnot \"eng\" in input.user.groups\n}\n",
	})
	ask := scopes("mcp:read", "mcp:write")
	d := decide(t, set, web, broker.PhaseUser, ask)
	allowed(t, d)
	if !slices.Equal(d.Effective.Scopes, []string{"mcp:read"}) || len(d.Cut) != 1 || d.Cut[0].Value != "mcp:write" {
		t.Errorf("web: effective %v, cut %v", d.Effective.Scopes, d.Cut)
	}
	d = decide(t, set, code, broker.PhaseUser, ask, groups("eng"))
	allowed(t, d)
	if !slices.Equal(d.Effective.Scopes, []string{"mcp:read", "mcp:write"}) {
		t.Errorf("code: effective %v", d.Effective.Scopes)
	}
	d = decide(t, set, code, broker.PhaseUser, ask) // no group at all: trap F6
	refused(t, d, broker.ReasonPolicyDenied)
	if d.Denials[0].Location != "code.rego:7" {
		t.Errorf("location = %s, want code.rego:7", d.Denials[0].Location)
	}
	allowed(t, decide(t, set, code, broker.PhaseUser, scopes("mcp:read")))
}

func TestRowNarrowsAndIsSeen(t *testing.T) {
	set := load(t, files{"p.rego": `package admission.policies.p

client_ids_from := data.l.hosts

settings := {"scopes": {"ceiling": ["a", "b"]}, "client_ttl": "30d", "tags": ["p"]}

warn contains {"code": "owner", "message": sprintf("%s %s %v", [input.row.owner, input.row.expires, input.row.settings])} if true
`, "l/data.json": `{"hosts": {"app.example.com": [
		{"path": "/oauth/*", "owner": "wide"},
		{"path": "/oauth/client.json", "owner": "team", "settings": {"scopes": {"ceiling": ["b", "c"]}, "client_ttl": "60d", "tags": ["r"]}}]}}`})
	d := decide(t, set, example, broker.PhaseURL)
	allowed(t, d)
	if !slices.Equal(d.Settings.Scopes.Ceiling, []string{"b"}) || d.Settings.ClientTTL.String() != "30d" || !slices.Equal(d.Settings.Tags, []string{"p", "r"}) {
		t.Errorf("settings = %+v, want narrowed by the row", d.Settings)
	}
	if want := `team  {"client_ttl": "60d", "scopes": {"ceiling": ["b", "c"]}, "tags": ["r"]}`; len(d.Warnings) != 1 || d.Warnings[0].Message != want {
		t.Errorf("warnings = %+v, want %s", d.Warnings, want)
	}
	if d.Candidates[0].Row != "data.l.hosts[app.example.com] /oauth/client.json" {
		t.Errorf("row = %q", d.Candidates[0].Row)
	}
	want := `{"expires":"","host":"app.example.com","owner":"team","path":"/oauth/client.json","settings":{"client_ttl":"60d","scopes":{"ceiling":["b","c"]},"tags":["r"]},"ticket":""}`
	if got, ok := set.RowText(d.Candidates[0].Row); got != want || !ok {
		t.Errorf("RowText = %s, %v, want %s", got, ok, want)
	}
	if got, ok := set.RowText("data.l.hosts[app.example.com] /oauth"); ok {
		t.Errorf("RowText of no row = %s", got)
	}
}

func TestAnyoneRanksLast(t *testing.T) {
	f := files{"a.rego": "package admission.anyone\n\nsettings := {\"open\": true, \"client_ttl\": \"1d\"}\n",
		"p.rego": policy("p", "priority := -100\n\nsettings := {\"client_ttl\": \"2d\"}")}
	set := load(t, f)
	if d := decide(t, set, example, broker.PhaseURL); !slices.Equal(d.Winner, []string{"p"}) || len(d.Candidates) != 2 {
		t.Errorf("winner %v, candidates %+v, want p before anyone", d.Winner, d.Candidates)
	}
	d := decide(t, set, "https://stranger.example/x", broker.PhaseURL)
	allowed(t, d)
	if !slices.Equal(d.Winner, []string{"anyone"}) || d.Settings.ClientTTL.String() != "1d" {
		t.Errorf("winner %v, want anyone", d.Winner)
	}
	open := load(t, files{"a.rego": "package admission.anyone\n\nsettings := {\"open\": input.client.host == \"a.example\"}\n"})
	allowed(t, decide(t, open, "https://a.example/x", broker.PhaseURL))
	refused(t, decide(t, open, "https://b.example/x", broker.PhaseURL), broker.ReasonPolicyError)
}

// Which rules run in which phase; denials of earlier phases stay in force.
func TestPhasesAddUp(t *testing.T) {
	set := load(t, one(admits+`
_d(c) := {"code": c, "message": "m", "effect": "end_grant"}

deny contains _d("url") if input.request.prompt[_] == "url"

deny_document contains _d("document") if input.request.prompt[_] == "document"

deny_document contains _d("cut") if { input.request.prompt[_] == "cut"; not "b" in input.effective.scopes }

deny_user contains _d("user") if input.request.prompt[_] == "user"

deny_refresh contains {"code": "refresh", "message": "m", "effect": "end_grant"} if { input.request.prompt[_] == "refresh"; input.now.grant_type == "refresh_token" }

warn contains {"code": "w", "message": input.user.sub}
`))
	order := []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh}
	for i, phase := range order {
		for j, code := range []string{"url", "document", "user", "refresh"} {
			d := decide(t, set, example, phase, func(q *broker.Query) { q.Input.Request.Prompt = []string{code} })
			if i >= j {
				refused(t, d, broker.ReasonPolicyDenied)
				if !d.EndGrant {
					t.Errorf("phase %s: EndGrant = false, want true", phase)
				}
			} else {
				allowed(t, d)
			}
			if warned := len(d.Warnings) == 1; warned != (i >= 2) {
				t.Errorf("phase %s: warnings %v, want them from phase user on", phase, d.Warnings)
			}
		}
	}
	cut := func(q *broker.Query) { q.Input.Request.Prompt = []string{"cut"} }
	refused(t, decide(t, set, example, broker.PhaseDocument, cut), broker.ReasonPolicyDenied)
	allowed(t, decide(t, set, example, broker.PhaseDocument, cut, scopes("b")))
}

// Settings that read the document are strict until there is one.
func TestSettingsThatReadTheDocument(t *testing.T) {
	set := load(t, one("client_ids := {\""+example+"\"}\n\nsettings := {\"client_ttl\": _ttl}\n\ndefault _ttl := \"1d\"\n\n_ttl := \"9d\" if input.published.software_id == \"x\"\n"))
	if d := decide(t, set, example, broker.PhaseURL); !d.Allowed || d.Settings.ClientTTL != broker.StrictSettings().ClientTTL {
		t.Errorf("phase url: allowed %v, ttl %s, want the strict one", d.Allowed, d.Settings.ClientTTL)
	}
	if d := decide(t, set, example, broker.PhaseDocument); d.Settings.ClientTTL.String() != "1d" {
		t.Errorf("phase document: ttl %s, want 1d", d.Settings.ClientTTL)
	}
	if d := decide(t, set, example, broker.PhaseDocument, func(q *broker.Query) { q.Input.Published = map[string]any{"software_id": "x"} }); d.Settings.ClientTTL.String() != "9d" {
		t.Errorf("phase document: ttl %s, want 9d", d.Settings.ClientTTL)
	}
}

func TestNegotiationErrorComesAfterDenials(t *testing.T) {
	set := load(t, one(admits+"\ndeny_document contains {\"code\": \"x\", \"message\": \"m\"} if input.request.par\n"))
	far := func(q *broker.Query) { q.Input.Request.Redirect.Relation = "cross_site" }
	refused(t, decide(t, set, example, broker.PhaseDocument, far), broker.ReasonRedirectNotAllowed)
	refused(t, decide(t, set, example, broker.PhaseDocument, far, func(q *broker.Query) { q.Input.Request.PAR = true }), broker.ReasonPolicyDenied)
}

// A consent is skipped only for a client with a key that answers on its own
// origin.
func TestConsentSkip(t *testing.T) {
	set := load(t, one("client_ids := {\""+example+"\"}\n\nsettings := {\"consent\": {\"mode\": \"skip\"}, \"token_endpoint_auth_methods\": [\"private_key_jwt\", \"none\"]}\n"))
	keyed := func(q *broker.Query) {
		q.Document.AuthMethod, q.Document.JWKSURI = "private_key_jwt", "https://app.example.com/jwks"
		q.Offer.AuthMethods = []string{"private_key_jwt", "none"}
	}
	for name, c := range map[string]struct {
		change []func(*broker.Query)
		want   string
	}{
		"key and own origin": {[]func(*broker.Query){keyed}, "skip"},
		"no key":             {nil, "always"},
		"loopback":           {[]func(*broker.Query){keyed, func(q *broker.Query) { q.Input.Request.Redirect.Kind = "loopback" }}, "always"},
		"other site":         {[]func(*broker.Query){keyed, func(q *broker.Query) { q.Input.Request.Redirect.Relation = "same_site" }}, "always"},
	} {
		if d := decide(t, set, example, broker.PhaseDocument, c.change...); d.Settings.Consent.Mode != c.want {
			t.Errorf("%s: consent %s (%s), want %s", name, d.Settings.Consent.Mode, d.Detail, c.want)
		}
	}
	if d := decide(t, set, example, broker.PhaseURL); d.Settings.Consent.Mode != "always" {
		t.Errorf("phase url: consent %s, want always", d.Settings.Consent.Mode)
	}
}

// Meeting lists of authentication methods never lets a keyed client in
// without its key, and never turns "nothing in common" into "anything".
func TestMeetOfAuthMethods(t *testing.T) {
	both := func(q *broker.Query) {
		q.Document.AuthMethodsSupported, q.Document.JWKSURI = []string{"none", "private_key_jwt"}, "https://app.example.com/jwks"
		q.Offer.AuthMethods = []string{"private_key_jwt", "none"}
	}
	for _, c := range []struct{ policy, ceiling, want string }{
		{`["none"]`, `["private_key_jwt"]`, "error"},
		{`["none", "private_key_jwt"]`, `["none"]`, "none"},
		{`["none", "private_key_jwt"]`, ``, "none private_key_jwt"},
		{``, `["none", "private_key_jwt"]`, "private_key_jwt"},
		{``, `["none"]`, "error"},
		{``, ``, "private_key_jwt"},
	} {
		settings := func(list string) string {
			if list == "" {
				return "{}"
			}
			return `{"token_endpoint_auth_methods": ` + list + `}`
		}
		set := load(t, files{"p.rego": policy("p", "settings := "+settings(c.policy)), "g.rego": "package admission.guardrails\n\nceiling := " + settings(c.ceiling) + "\n"})
		d := decide(t, set, example, broker.PhaseDocument, both)
		if c.want == "error" {
			refused(t, d, broker.ReasonPolicyError)
			continue
		}
		if got := strings.Join(d.Effective.AuthMethods, " "); got != c.want {
			t.Errorf("policy %q, ceiling %q: %q (%s), want %q", c.policy, c.ceiling, got, d.Detail, c.want)
		}
	}
}

func TestRevisionAndEngine(t *testing.T) {
	base := files{"p.rego": policy("p", "settings := {}"), "l/data.json": `{"x": 1}`}
	rev := func(change func(files), maxima map[string]any) string {
		f := files{}
		for k, v := range base {
			f[k] = v
		}
		change(f)
		return loadConfig(t, policies.Config{FS: f.fs(), Maxima: maxima}).Revision()
	}
	same := func(files) {}
	first := rev(same, nil)
	if first != rev(same, nil) || !strings.HasPrefix(first, "sha256:") || len(first) != 71 {
		t.Errorf("Revision = %q, want the same sha256 each time", first)
	}
	seen := map[string]string{first: "unchanged"}
	for name, r := range map[string]string{
		"policy":  rev(func(f files) { f["p.rego"] += "\n" }, nil),
		"data":    rev(func(f files) { f["l/data.json"] = `{"x": 2}` }, nil),
		"name":    rev(func(f files) { f["q.rego"] = f["p.rego"]; delete(f, "p.rego") }, nil),
		"maxima":  rev(same, map[string]any{"client_ttl": "1d"}),
		"nothing": rev(func(f files) { clear(f) }, nil),
	} {
		if old, ok := seen[r]; ok {
			t.Errorf("revision of %s is that of %s", name, old)
		}
		seen[r] = name
	}
	if r := rev(func(f files) { f["p_test.rego"] = "package p_test\n\ntest_x if true\n" }, nil); r != first {
		t.Errorf("a test changes the revision")
	}
	if e := load(t, base).Engine(); e != "opa/1.22.3" {
		t.Errorf("Engine = %q, want opa/1.22.3", e)
	}
}

func TestDecideWithoutWhatItNeeds(t *testing.T) {
	set := load(t, one(admits))
	refused(t, decide(t, set, example, broker.PhaseDocument, func(q *broker.Query) { q.Document = nil }), broker.ReasonPolicyError)
	refused(t, decide(t, set, example, "later"), broker.ReasonPolicyError)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	denying := load(t, one(admits+"\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if input.client.port == \"1\"\n"))
	refused(t, denying.Decide(ctx, question(t, example, broker.PhaseURL)), broker.ReasonPolicyError)
}

func TestAtMost64Match(t *testing.T) {
	for n, want := range map[int]broker.Reason{64: "", 65: broker.ReasonPolicyError} {
		f := files{}
		for i := range n {
			name := fmt.Sprintf("p%d", i)
			f[name+".rego"] = policy(name, fmt.Sprintf("priority := %d", i-50))
		}
		f["p1.rego"] = policy("p1", "settings := {}")
		if d := decide(t, load(t, f), example, broker.PhaseURL); d.Reason != want {
			t.Errorf("%d policies: reason %q (%s), want %q", n, d.Reason, d.Detail, want)
		}
	}
}
