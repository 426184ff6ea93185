package corpus_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
	"guestlist/policies/corpus"
)

// open lets in whatever can be let in, and marks what it met.
const open = `package admission.anyone

settings := {
	"open": true,
	"scopes": {"ceiling": ["mcp:read", "mcp:write", "offline_access"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"token_endpoint_auth_methods": ["none", "private_key_jwt"],
	"redirect": {"relation": "cross_site", "loopback": true, "private_scheme": true},
	"document": {"allow_query": true},
	"refresh_token": {"issue": true},
}

warn contains {"code": sprintf("%s-%s", [input.request.redirect.kind, input.request.redirect.relation]), "message": "redirect"}

warn contains {"code": "key", "message": "has a key"} if "private_key_jwt" in input.effective.auth_methods

warn contains {"code": "groups", "message": "has groups"} if count(input.user.groups) > 0
`

// apart refuses refreshes that come from elsewhere, and those after two hours.
const apart = `
deny_refresh contains {"code": "moved", "message": "comes from elsewhere"} if input.now.source.ip != input.request.source.ip

deny_refresh contains {"code": "late", "message": "two hours later"} if {
	time.parse_rfc3339_ns(input.time) - time.parse_rfc3339_ns(input.grant.created_at) == 7200000000000
}
`

func load(t testing.TB, files map[string]string) *policies.Set {
	t.Helper()
	root := fstest.MapFS{}
	for name, body := range files {
		root[name] = &fstest.MapFile{Data: []byte(body)}
	}
	set, _, err := policies.Load(context.Background(), policies.Config{FS: root, Deadline: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func stage(set broker.Policy) corpus.Stage {
	return corpus.Stage{At: corpus.Noon(), Scopes: []string{"mcp:read", "mcp:write", "offline_access"}, Stage: rehearsal.Stage{
		Policy: set, Issuer: "https://issuer.example", Zone: time.UTC, Offer: broker.Offer{
			GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
			AuthMethods: []string{"none", "private_key_jwt"}, SigningAlgs: []string{"ES256", "RS256"},
			Resources: []broker.Resource{{ID: "https://resource.example"}},
		},
	}}
}

func play(t testing.TB, set broker.Policy, scenes []corpus.Scene) map[string]corpus.Decision {
	t.Helper()
	got, err := stage(set).Play(t.Context(), scenes)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]corpus.Decision{}
	for _, d := range got {
		out[d.Scene] = d
	}
	return out
}

func shipped(t testing.TB) []corpus.Scene {
	t.Helper()
	scenes, err := corpus.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return scenes
}

// What the shipped scenes claim is computed by the broker, not taken from
// their names.
func TestShippedScenesAreWhatTheyClaim(t *testing.T) {
	scenes := shipped(t)
	if len(scenes) < 80 || len(scenes) > 150 {
		t.Errorf("%d scenes, want 80 to 150", len(scenes))
	}
	got := play(t, load(t, map[string]string{"open.rego": open}), scenes)
	redirects := map[string]string{
		"https-same-origin": "https-same_origin", "https-same-site": "https-same_site", "https-cross-site": "https-cross_site",
		"loopback-ipv4": "loopback-cross_site", "loopback-ipv6": "loopback-cross_site", "loopback-localhost": "loopback-cross_site",
		"private-scheme": "private_scheme-cross_site", "https-other-port": "https-same_site",
	}
	for name, want := range redirects {
		if d := got["redirect/"+name]; d.Outcome != corpus.Admitted || !slices.Contains(d.Warnings, "anyone/"+want) {
			t.Errorf("redirect/%s = %s %s, warnings %v; want admitted as %s", name, d.Outcome, d.Reason, d.Warnings, want)
		}
	}
	phases := map[string]int{}
	for _, s := range scenes {
		d := got[s.Name]
		phases[d.Phase]++
		if s.Purpose == "" {
			t.Errorf("scene %s says no purpose", s.Name)
		}
		if marked := slices.Contains(d.Warnings, "anyone/groups"); marked != (s.User != nil && len(s.User.Groups) > 0 && d.Outcome == corpus.Admitted) {
			t.Errorf("scene %s: groups %v, marked %v", s.Name, s.User, marked)
		}
		if _, err := cimd.Parse(s.ClientID); strings.HasPrefix(s.Name, "identifier/") && err == nil && d.Outcome != corpus.Admitted {
			t.Errorf("scene %s is well formed and refused with %s", s.Name, d.Reason)
		}
	}
	for _, p := range []string{"", "url", "document", "user", "refresh"} {
		if phases[p] == 0 {
			t.Errorf("no scene ends in phase %q; they end in %v", p, phases)
		}
	}
	for name, want := range map[string]string{
		"key/inline": "anyone/key", "key/by-uri": "anyone/key", "key/either": "anyone/key", "real/chatgpt": "anyone/key",
	} {
		if d := got[name]; !slices.Contains(d.Warnings, want) {
			t.Errorf("scene %s: warnings %v, want %s", name, d.Warnings, want)
		}
	}
	if d := got["key/none"]; slices.Contains(d.Warnings, "anyone/key") || d.Outcome != corpus.Admitted {
		t.Errorf("key/none = %s with warnings %v", d.Outcome, d.Warnings)
	}
}

func TestShippedRefreshesComeLaterAndFromElsewhere(t *testing.T) {
	got := play(t, load(t, map[string]string{"open.rego": open + apart}), shipped(t))
	for name, want := range map[string]string{
		"phase/refresh/elsewhere": "anyone/late,anyone/moved", "real/claude/refresh": "anyone/late,anyone/moved", "key/inline": "anyone/late,anyone/moved",
		"phase/refresh/same-place": "anyone/late", "phase/refresh/a-day-later": "", "real/claude": "",
	} {
		if d := got[name]; strings.Join(d.Denials, ",") != want {
			t.Errorf("scene %s: denials %v, want %s", name, d.Denials, want)
		}
	}
}

// Even a list that lets anyone in refuses these, each for its own reason.
func TestShippedScenesRefusedByEveryList(t *testing.T) {
	got := play(t, load(t, map[string]string{"open.rego": open}), shipped(t))
	for name, want := range map[string]broker.Reason{
		"identifier/opaque": "client_id_unknown", "identifier/script": "client_id_unknown", "identifier/localhost": "client_id_malformed",
		"identifier/private-address": "client_id_malformed", "identifier/metadata-address": "client_id_malformed",
		"identifier/decimal-address": "client_id_malformed", "identifier/ipv6-address": "client_id_malformed",
		"identifier/single-label": "client_id_malformed", "identifier/too-long": "client_id_malformed",
		"lookalike/userinfo": "client_id_malformed", "lookalike/homograph-raw": "client_id_malformed", "lookalike/upper-case": "client_id_malformed",
		"lookalike/trailing-dot": "client_id_malformed", "lookalike/http": "client_id_malformed", "lookalike/backslash": "client_id_malformed",
		"path/dot-segments": "client_id_malformed", "path/encoded-dots": "client_id_malformed", "path/fragment": "client_id_malformed",
		"path/no-path": "client_id_malformed", "path/nul": "client_id_malformed", "path/space": "client_id_malformed",
		"redirect/unregistered": "redirect_uri_mismatch", "redirect/userinfo": "redirect_uri_mismatch", "redirect/localhost-suffix": "redirect_uri_mismatch",
		"redirect/script": "document_redirects_invalid", "document/no-redirects": "document_redirects_invalid",
		"document/other-client-id": "document_client_id_mismatch", "document/secret": "document_secret_present",
		"document/private-key": "document_private_key", "document/demands-dpop": "document_demands_unsupported",
		"document/demands-par": "document_demands_unsupported", "document/large": "fetch_too_large",
		"resource/unknown": "resource_unknown", "resource/known-and-unknown": "resource_unknown", "resource/prefix": "resource_unknown",
	} {
		if d := got[name]; d.Outcome != corpus.Refused || d.Reason != string(want) {
			t.Errorf("scene %s = %s %q (%s), want refused with %s", name, d.Outcome, d.Reason, d.Detail, want)
		}
	}
}

// No lookalike of Claude's identifier is taken for it: a list that names it
// exactly admits the real one alone.
func TestLookalikesMatchNoExactPattern(t *testing.T) {
	got := play(t, load(t, map[string]string{"p.rego": `package admission.policies.p

client_ids := {"https://claude.ai/oauth/mcp-oauth-client-metadata"}

settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}}
`}), shipped(t))
	if d := got["real/claude"]; d.Outcome != corpus.Admitted {
		t.Errorf("real/claude = %s (%s)", d.Reason, d.Detail)
	}
	for name, d := range got {
		if (strings.HasPrefix(name, "lookalike/") || strings.HasPrefix(name, "path/")) && d.Outcome != corpus.Refused {
			t.Errorf("scene %s (%s) is admitted", name, d.ClientID)
		}
	}
}

// G-23: real documents are admitted under the starter that names them, and
// what they ask beyond is cut.
func TestG23RealDocumentsUnderTheStarter(t *testing.T) {
	root, _ := policies.Starter("known_clients")
	set, _, err := policies.Load(t.Context(), policies.Config{FS: root, Deadline: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	got := play(t, set, shipped(t))
	for _, name := range []string{"claude", "claude-code", "chatgpt", "vscode", "goose", "zed"} {
		for _, kind := range []string{"", "/write", "/all", "/refresh"} {
			if d := got["real/"+name+kind]; d.Outcome != corpus.Admitted || !slices.Equal(d.Policy, []string{"known_clients"}) {
				t.Errorf("real/%s%s = %s %s by %v", name, kind, d.Outcome, d.Reason, d.Policy)
			}
		}
	}
	if d := got["real/goose/refresh"]; d.Refresh != "none" || d.Phase != "user" {
		t.Errorf("goose, which asks for no refresh token, has refresh %s in phase %s", d.Refresh, d.Phase)
	}
	if d := got["real/specification"]; d.Reason != string(broker.ReasonNoPolicyMatched) {
		t.Errorf("real/specification = %s %s, want no_policy_matched", d.Outcome, d.Reason)
	}
}

// However many patterns there are, their scenes stay bounded.
func TestListedIsBounded(t *testing.T) {
	patterns := make([]string, 100)
	for i := range patterns {
		patterns[i] = "https://host" + strings.Repeat("x", i) + ".example.com/client.json"
	}
	listed, left := corpus.Listed(patterns)
	if len(listed) > 200 || left == 0 {
		t.Errorf("Listed = %d scenes, %d left out", len(listed), left)
	}
}

func BenchmarkPlay(b *testing.B) {
	set, scenes := load(b, map[string]string{"open.rego": open}), shipped(b)
	for b.Loop() {
		play(b, set, scenes)
	}
}

func TestListed(t *testing.T) {
	scenes, left := corpus.Listed([]string{"opaque", "https://*.partner.example/oauth/**", "https://a.example:8443/x/client.json", "https://b.example/*/c", "https://a.example:8443/x/client.json"})
	if left != 0 || len(scenes) != 18 {
		t.Fatalf("Listed = %d scenes, %d left out, want 18 and 0", len(scenes), left)
	}
	want := map[string]string{
		"listed/*.partner.example/oauth/**":      "https://sample.partner.example/oauth/sample/client.json",
		"sibling/*.partner.example/oauth/**":     "https://sample.partner.example/sibling",
		"lookalike/*.partner.example/oauth/**":   "https://notpartner.example/oauth/sample/client.json",
		"listed/a.example:8443/x/client.json":    "https://a.example:8443/x/client.json",
		"sibling/a.example:8443/x/client.json":   "https://a.example:8443/x/sibling",
		"lookalike/a.example:8443/x/client.json": "https://a.example.lookalike.example:8443/x/client.json",
		"listed/b.example/*/c":                   "https://b.example/sample/c",
	}
	for _, s := range scenes {
		if id, ok := want[s.Name]; ok && s.ClientID != id {
			t.Errorf("scene %s has client_id %s, want %s", s.Name, s.ClientID, id)
		}
		delete(want, s.Name)
	}
	if len(want) > 0 {
		t.Errorf("no scenes %v", want)
	}
	// One more pattern of many changes at most one.
	many := make([]string, 80)
	for i := range many {
		many[i] = "https://example.com/" + strings.Repeat("a", i+1)
	}
	before, _ := corpus.Listed(many)
	after, _ := corpus.Listed(append(many, "https://example.com/new"))
	gone := 0
	for _, s := range before {
		if !slices.ContainsFunc(after, func(o corpus.Scene) bool { return o.Name == s.Name }) {
			gone++
		}
	}
	if gone > 6 {
		t.Errorf("%d scenes went for one new pattern, want those of one at most", gone)
	}
}

// failing refuses everything, with a code that has a space.
type failing struct{ broker.Policy }

func (failing) Decide(context.Context, broker.Query) broker.Decision {
	return broker.Decision{Reason: broker.ReasonPolicyError, Detail: "no", Denials: []decisionlog.Denial{{Policy: "p", Code: "two words"}}}
}

func TestLineQuotesWhatWouldBreakIt(t *testing.T) {
	got := play(t, failing{load(t, nil)}, []corpus.Scene{{Name: "x", ClientID: "https://a.example/c"}})
	if line := got["x"].Line(); line != `x refused reason=policy_error denied="p/two words"` {
		t.Errorf("Line() = %s", line)
	}
}

func TestScenesSetFacts(t *testing.T) {
	set := load(t, map[string]string{
		"open.rego":         open + "\ndeny contains {\"code\": \"frozen\", \"message\": \"no change today\"} if input.facts.freeze\n",
		"facts.schema.json": `{"type": "object", "properties": {"freeze": {"type": "boolean", "default": false}}}`,
	})
	scene := corpus.Scene{Name: "x", ClientID: "https://a.example/c"}
	frozen := scene
	frozen.Name, frozen.Facts = "y", map[string]any{"freeze": true}
	st := stage(set)
	if _, err := st.Play(t.Context(), []corpus.Scene{frozen}); err == nil {
		t.Error("Play took facts where they cannot be set")
	}
	st.Facts = func(values map[string]any) (broker.Policy, error) { return set.WithFacts(values) }
	got, err := st.Play(t.Context(), []corpus.Scene{scene, frozen})
	if err != nil || got[0].Outcome != corpus.Admitted || !slices.Equal(got[1].Denials, []string{"anyone/frozen"}) {
		t.Errorf("Play = %+v, %v, want the second denied as frozen", got, err)
	}
	frozen.Facts = map[string]any{"frozen": true}
	if _, err := st.Play(t.Context(), []corpus.Scene{frozen}); err == nil || !strings.Contains(err.Error(), "scene y") {
		t.Errorf("Play with an unknown fact = %v, want an error that names the scene", err)
	}
}
