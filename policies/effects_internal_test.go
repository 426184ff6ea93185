package policies

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shown names, for each member of settings, a test that shows its effect.
var shown = map[string]string{
	"scopes.ceiling": "broker.TestNegotiate", "scopes.default": "broker.TestNegotiate", "scopes.unknown": "broker.TestNegotiate", "scopes.document": "broker.TestNegotiate",
	"grant_types": "broker.TestNegotiate", "response_types": "broker.TestNegotiate", "token_endpoint_auth_methods": "policies.TestMeetOfAuthMethods",
	"redirect.relation": "broker.TestNegotiate", "redirect.loopback": "server.TestSN12PinnedLoopback", "redirect.private_scheme": "broker.TestNegotiate", "redirect.hosts": "broker.TestNegotiate",
	"consent.mode": "server.TestConsentOnce", "consent.max_age": "server.TestConsentOnce",
	"access_token.format": "server/grants.TestFindAccessMindsTheFormat", "access_token.ttl": "server/grants.TestRedeemStagesTokens",
	"refresh_token.issue": "server.TestQ6RefreshTokenIssue", "refresh_token.ttl": "server.TestShorterRefreshLife", "refresh_token.idle": "server/grants.TestX6M21RotationStages", "refresh_token.grace": "server/grants.TestX6M21RotationStages",
	"client_ttl": "broker.TestExpiry", "document.ttl_floor": "broker.TestLimitsOfAFetch", "document.ttl_ceiling": "broker.TestLimitsOfAFetch", "document.stale_if_error": "broker.TestStaleIfError",
	"document.max_age_for_refresh": "server.TestDocumentChangedUnderAGrant", "document.max_bytes": "server.TestQ17DocumentSize", "document.on_change": "broker.TestG08_SN22_OnChange",
	"document.allow_query": "policies.TestIdentifierWithQueryNeedsSettings", "document.profile": "server.TestProfilesPerPolicy",
	"jwks.same_origin": "server.TestCU08Waived", "display.same_origin": "server.TestCU09ShownLinks",
	"require.pkce": "policies.TestPKCECannotBeSwitchedOff", "require.par": "broker.TestNegotiate", "require.dpop": "broker.TestNegotiate", "require.client_auth": "broker.TestNegotiate",
	"require.signed_request": "broker.TestNegotiate", "require.acr": "broker.TestNegotiate", "require.groups": "policies.TestGroupsAreAskedOfPeopleOnly",
	"audiences": "broker.TestNegotiate", "replay_prevention": "server.TestPF22ReplayAllowed", "compat.token_endpoint_audience": "server.TestQ16TokenEndpointAudience",
	"network.allow_cidrs": "broker.TestLimitsOfAFetch", "network.egress_proxy": "broker.TestLimitsOfAFetch", "tags": "policies.TestPF35TagsOfPolicyAndRow", "on_policy_change": "server.TestPF13OnPolicyChange",
}

// TestEveryMemberTakesEffect: each member of settings has a test that shows
// what it does, or is listed as not in force, never both. The test must exist
// and speak of the member.
func TestEveryMemberTakesEffect(t *testing.T) {
	for _, m := range members {
		_, idle := notInForce[m.path]
		test := shown[m.path]
		if idle == (test != "") {
			t.Errorf("member %s: shown by %q, not in force %v, want one of them", m.path, test, idle)
			continue
		}
		if idle {
			continue
		}
		dir, name, _ := strings.Cut(test, ".")
		body := testBody(t, filepath.Join("..", dir), name)
		words := strings.Split(m.path, ".")
		if body == "" || !regexp.MustCompile(`(?i)`+strings.ReplaceAll(words[len(words)-1], "_", "_?")).MatchString(body) {
			t.Errorf("member %s: test %s is not there or says nothing of it", m.path, test)
		}
	}
	for path := range shown {
		if !slices.ContainsFunc(members, func(m member) bool { return m.path == path }) {
			t.Errorf("shown names %s, which is no member", path)
		}
	}
}

// testBody returns the text of a test function and of what follows it in its
// file.
func testBody(t *testing.T, dir, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, after, ok := strings.Cut(string(body), "\nfunc "+name+"("); ok {
			return after
		}
	}
	return ""
}
