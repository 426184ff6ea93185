package policies_test

import (
	"context"
	"slices"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// PKCE is always required: a policy may say so and cannot say otherwise.
func TestPKCECannotBeSwitchedOff(t *testing.T) {
	named := "client_ids := {\"" + example + "\"}\n\nsettings := {\"require\": {\"pkce\": "
	if d := decide(t, load(t, one(named+"true}}\n")), example, broker.PhaseURL); !d.Settings.Require.PKCE {
		t.Error("require.pkce = false for a policy that demands it")
	}
	if _, findings, err := policies.Load(context.Background(), policies.Config{FS: one(named + "false}}\n").fs()}); err == nil || findings[0].Code == "" {
		t.Error("a policy without PKCE loads")
	}
	if d := decide(t, load(t, one(admits)), example, broker.PhaseURL); !d.Settings.Require.PKCE {
		t.Error("require.pkce = false for a silent policy")
	}
}

// PF-35: the tags of policy and row are those of the client, in every phase.
func TestPF35TagsOfPolicyAndRow(t *testing.T) {
	set := load(t, files{"p.rego": "package admission.policies.p\n\nclient_ids_from := data.l.hosts\n\nsettings := {\"tags\": [\"vendor\"]}\n",
		"l/data.json": `{"hosts": {"app.example.com": [{"path": "/oauth/client.json", "settings": {"tags": ["pilot"]}}]}}`})
	for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
		if d := decide(t, set, example, phase); !slices.Equal(d.Settings.Tags, []string{"pilot", "vendor"}) {
			t.Errorf("phase %s: tags %v, want those of policy and row", phase, d.Settings.Tags)
		}
	}
}

// CU-01: without a policy nobody is admitted, whatever the maxima and defaults
// allow.
func TestCU01NothingIsOpenByDefault(t *testing.T) {
	set := loadConfig(t, policies.Config{FS: files{"d.rego": "package admission.defaults\n\nsettings := {\"scopes\": {\"ceiling\": [\"a\"]}}\n", "g.rego": "package admission.guardrails\n\nceiling := {}\n"}.fs(),
		Maxima: map[string]any{"client_ttl": "1d"}})
	for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
		refused(t, decide(t, set, example, phase), broker.ReasonNoPolicyMatched)
	}
}

// SN-01: of a host only the listed URL is let in; a sibling is refused before
// anything is fetched, and registrations := {"pinned"} asks for a stored
// document too.
func TestSN01OnlyListedURLs(t *testing.T) {
	set := load(t, one("registrations := {\"pinned\"}\n\n"+admits))
	pinned := func(q *broker.Query) { q.Input.Registration = broker.RegistrationPinned }
	allowed(t, decide(t, set, example, broker.PhaseURL, pinned))
	refused(t, decide(t, set, example, broker.PhaseURL), broker.ReasonNoPolicyMatched)
	refused(t, decide(t, set, "https://app.example.com/oauth/other.json", broker.PhaseURL, pinned), broker.ReasonNoPolicyMatched)
}

// SN-15: lifetimes of 1,800 and 8,640,000 seconds can be set; a lower maximum
// of the server bounds them, and what is beyond every bound is refused clearly.
func TestSN15ExactLifetimes(t *testing.T) {
	f := one("client_ids := {\"" + example + "\"}\n\nsettings := {\"access_token\": {\"ttl\": \"1800s\"}, \"refresh_token\": {\"issue\": true, \"ttl\": \"8640000s\", \"idle\": \"8640000s\"}}\n")
	for maxima, want := range map[string][2]string{"": {"30m", "100d"}, "10d": {"30m", "10d"}} {
		cfg := policies.Config{FS: f.fs()}
		if maxima != "" {
			cfg.Maxima = map[string]any{"refresh_token": map[string]any{"ttl": maxima, "idle": maxima}}
		}
		s := decide(t, loadConfig(t, cfg), example, broker.PhaseURL).Settings
		if s.AccessToken.TTL.String() != want[0] || s.RefreshToken.TTL.String() != want[1] || s.RefreshToken.Idle.String() != want[1] {
			t.Errorf("maxima %q: access %s, refresh %s, idle %s, want %v", maxima, s.AccessToken.TTL, s.RefreshToken.TTL, s.RefreshToken.Idle, want)
		}
	}
	_, findings, err := policies.Load(context.Background(), policies.Config{FS: one("client_ids := {\"" + example + "\"}\n\nsettings := {\"access_token\": {\"ttl\": \"3601s\"}}\n").fs()})
	if err == nil || findings[0].Code != "settings_invalid" {
		t.Errorf("Load with a life of 3601 s = %v, %v, want settings_invalid", findings, err)
	}
}

// SN-17, CU-03: one policy lists scopes, another gives whatever the ceiling of
// the guardrails leaves.
func TestSN17NarrowAndBroadScopes(t *testing.T) {
	set := load(t, files{
		"narrow.rego":      "package admission.policies.narrow\n\nclient_ids := {\"https://narrow.example/c\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"mcp:read\"]}}\n",
		"broad.rego":       "package admission.policies.broad\n\nclient_ids := {\"https://broad.example/c\"}\n\nsettings := {\"scopes\": {\"ceiling\": data.scopes.registered}}\n",
		"g.rego":           "package admission.guardrails\n\nceiling := {\"scopes\": {\"ceiling\": [\"mcp:read\", \"mcp:write\"]}}\n",
		"scopes/data.json": `{"registered": ["mcp:read", "mcp:write", "admin"]}`,
	})
	ask := scopes("mcp:read", "mcp:write", "admin")
	for url, want := range map[string][]string{"https://narrow.example/c": {"mcp:read"}, "https://broad.example/c": {"mcp:read", "mcp:write"}} {
		if d := decide(t, set, url, broker.PhaseDocument, ask); !slices.Equal(d.Effective.Scopes, want) {
			t.Errorf("%s: scopes %v (%s), want %v", url, d.Effective.Scopes, d.Detail, want)
		}
	}
}

// CU-04, CU-05: a grant type that the policy does not name is not given, and a
// client that is left with none is refused.
func TestCU04Capabilities(t *testing.T) {
	set := func(types string) *policies.Set {
		return load(t, one("client_ids := {\""+example+"\"}\n\nsettings := {\"grant_types\": "+types+"}\n"))
	}
	asks := func(q *broker.Query) { q.Document.GrantTypes = []string{"authorization_code", "refresh_token"} }
	d := decide(t, set(`["authorization_code"]`), example, broker.PhaseDocument, asks)
	if allowed(t, d); !slices.Equal(d.Effective.GrantTypes, []string{"authorization_code"}) || len(d.Cut) != 1 || d.Cut[0].Value != "refresh_token" {
		t.Errorf("grant types %v, cut %+v, want refresh_token cut", d.Effective.GrantTypes, d.Cut)
	}
	d = decide(t, set(`["authorization_code", "refresh_token"]`), example, broker.PhaseDocument, asks)
	if !slices.Equal(d.Effective.GrantTypes, []string{"authorization_code", "refresh_token"}) {
		t.Errorf("grant types %v, want both", d.Effective.GrantTypes)
	}
	refused(t, decide(t, set(`["client_credentials"]`), example, broker.PhaseDocument, asks), broker.ReasonDocumentNothingUsable)
}

// H-04: a row overrides its policy, and a policy the defaults, member by member
// and not as a whole.
func TestH04RowsOverrideMemberByMember(t *testing.T) {
	set := load(t, files{
		"p.rego":      "package admission.policies.p\n\nclient_ids_from := data.l.hosts\n\nsettings := {\"refresh_token\": {\"issue\": true, \"idle\": \"12h\"}, \"redirect\": {\"loopback\": true}}\n",
		"d.rego":      "package admission.defaults\n\nsettings := {\"refresh_token\": {\"ttl\": \"5d\", \"idle\": \"1h\"}, \"redirect\": {\"relation\": \"same_site\"}}\n",
		"l/data.json": `{"hosts": {"app.example.com": [{"path": "/oauth/client.json", "settings": {"refresh_token": {"idle": "6h"}}}, {"path": "/oauth/other.json"}]}}`,
	})
	s := decide(t, set, example, broker.PhaseURL).Settings
	if s.RefreshToken.Idle.String() != "6h" || s.RefreshToken.TTL.String() != "5d" || !s.RefreshToken.Issue || !s.Redirect.Loopback || s.Redirect.Relation != "same_site" {
		t.Errorf("settings = %+v %+v, want idle of the row, ttl of the defaults, the rest of the policy", s.RefreshToken, s.Redirect)
	}
	if s = decide(t, set, "https://app.example.com/oauth/other.json", broker.PhaseURL).Settings; s.RefreshToken.Idle.String() != "12h" {
		t.Errorf("idle = %s for a row without settings, want that of the policy", s.RefreshToken.Idle)
	}
}

// G-34: what does not load changes nothing: Load gives no Set at all, so that
// the last good one goes on deciding.
func TestG34BrokenDirectoryGivesNoSet(t *testing.T) {
	good := load(t, one(admits))
	f := one(admits)
	f["q.rego"] = "package admission.policies.q\n\nclient_ids := {\"https://q.example/x\"}\n\ndenny contains {\"code\": \"x\", \"message\": \"m\"} if true\n"
	set, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
	if set != nil || err == nil || len(findings) == 0 {
		t.Errorf("Load = %v, %v, want no set", set, err)
	}
	allowed(t, decide(t, good, example, broker.PhaseURL))
}
