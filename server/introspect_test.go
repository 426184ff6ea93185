package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// other is a second protected resource.
const other = "https://other.example.com"

// introspect asks about a token as a resource with name and secret.
func introspect(t *testing.T, s *servertest.Server, name, secret string, token any) (int, map[string]any, http.Header) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.Issuer+"/introspect", strings.NewReader(url.Values{"token": {token.(string)}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if name != "" {
		r.SetBasicAuth(name, secret)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer, resp.Header
}

// withResources is a server with two resources, the second of opaque tokens.
func withResources(t *testing.T, policy map[string]string) *servertest.Server {
	t.Helper()
	s := servertest.New(t, servertest.Options{
		Policy: policy,
		Resources: []broker.Resource{
			{ID: servertest.Resource, Name: "Example MCP server", Scopes: []string{"mcp:read"}, TokenFormat: "jwt"},
			{ID: other, Name: "Other", Scopes: []string{"mcp:read"}, TokenFormat: "opaque"},
		},
		Secrets: map[string]string{servertest.Resource: servertest.Secret, other: "another long secret of the other"},
	})
	s.Docs.Publish(client, refreshing)
	return s
}

// tokensFor plays a flow for one resource.
func tokensFor(t *testing.T, s *servertest.Server, resource string) map[string]any {
	t.Helper()
	p := s.Browser().Play(s.Request(client, url.Values{"resource": {resource}}))
	status, answer, _ := s.Token(s.Exchange(client, p, url.Values{"resource": {resource}}))
	if status != http.StatusOK {
		t.Fatalf("token: %d %v\n%s", status, answer, p.Body)
	}
	return answer
}

// TestIntrospection is X20, traps 33 to 36.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	s := withResources(t, nil)
	jwt, opaque := tokensFor(t, s, servertest.Resource), tokensFor(t, s, other)
	if strings.Count(jwt["access_token"].(string), ".") != 2 || strings.Contains(opaque["access_token"].(string), ".") {
		t.Fatalf("formats: %v and %v", jwt, opaque)
	}
	const name, otherName, otherSecret = "Example MCP server", "Other", "another long secret of the other"
	status, got, header := introspect(t, s, name, servertest.Secret, jwt["access_token"])
	if status != http.StatusOK || got["active"] != true || got["client_id"] != client || got["sub"] != servertest.Person ||
		got["aud"] != servertest.Resource || got["scope"] != "mcp:read" || got["token_type"] != "Bearer" || header.Get("Cache-Control") != "no-store" {
		t.Errorf("own token: %d %v", status, got)
	}
	claims := servertest.Claims(t, jwt["access_token"])
	for _, k := range []string{"exp", "iat", "jti", "iss"} {
		if got[k] != claims[k] {
			t.Errorf("%s = %v, the token says %v", k, got[k], claims[k])
		}
	}
	if _, got, _ := introspect(t, s, otherName, otherSecret, opaque["access_token"]); got["active"] != true {
		t.Errorf("opaque token: %v", got)
	}
	inactive := map[string]any{
		"another audience's":       jwt["access_token"],
		"a refresh token (36)":     opaque["refresh_token"],
		"nonsense":                 "nonsense",
		"a JWT with a changed end": jwt["access_token"].(string)[:len(jwt["access_token"].(string))-4] + "AAAA",
	}
	for what, token := range inactive {
		if status, got, _ := introspect(t, s, otherName, otherSecret, token); status != http.StatusOK || len(got) != 1 || got["active"] != false {
			t.Errorf("%s: %d %v, want active false alone", what, status, got)
		}
	}
}

// TestIntrospectionNeedsAResource: any other caller, a client with its own
// token included (trap 35), gets 401 and a challenge.
func TestIntrospectionNeedsAResource(t *testing.T) {
	t.Parallel()
	s := withResources(t, nil)
	token := tokensFor(t, s, servertest.Resource)["access_token"]
	for _, c := range []struct{ name, secret string }{
		{"", ""}, {"Example MCP server", ""}, {"Example MCP server", "wrong"}, {"Other", servertest.Secret}, {"nobody", servertest.Secret}, {client, ""},
	} {
		status, got, header := introspect(t, s, c.name, c.secret, token)
		if status != http.StatusUnauthorized || got["error"] != "invalid_client" || header.Get("WWW-Authenticate") == "" {
			t.Errorf("%q with %q: %d %v", c.name, c.secret, status, got)
		}
	}
}

// TestIntrospectionReadsLiveness: whatever ended makes tokens inactive.
func TestIntrospectionReadsLiveness(t *testing.T) {
	t.Parallel()
	starter := map[string]string(nil)
	empty := map[string]string{"p.rego": "package admission.defaults\n\nsettings := {}\n"}
	for name, end := range map[string]func(s *servertest.Server, tokens map[string]any){
		"expiry":                   func(s *servertest.Server, _ map[string]any) { s.Clock.Advance(5 * time.Minute) },
		"its own revocation":       func(s *servertest.Server, tokens map[string]any) { revoke(t, s, tokens["access_token"]) },
		"the family's revocation":  func(s *servertest.Server, tokens map[string]any) { revoke(t, s, tokens["refresh_token"]) },
		"no policy matches (H-01)": func(s *servertest.Server, _ map[string]any) { check(t, s.Activate(empty)) },
		"policy gone and back": func(s *servertest.Server, tokens map[string]any) {
			check(t, s.Activate(empty))
			introspect(t, s, "Other", "another long secret of the other", tokens["access_token"])
			check(t, s.Activate(starter))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withResources(t, starter)
			tokens := tokensFor(t, s, other)
			if _, got, _ := introspect(t, s, "Other", "another long secret of the other", tokens["access_token"]); got["active"] != true {
				t.Fatalf("before: %v", got)
			}
			end(s, tokens)
			if _, got, _ := introspect(t, s, "Other", "another long secret of the other", tokens["access_token"]); got["active"] != false {
				t.Errorf("after: %v", got)
			}
		})
	}
}

// TestIntrospectionMeetsADeadClient: a client that no policy names any more is
// ended in the introspection that meets it, with its record.
func TestIntrospectionMeetsADeadClient(t *testing.T) {
	t.Parallel()
	s := withResources(t, nil)
	token := tokensFor(t, s, other)["access_token"]
	commits := s.Store.Commits()
	introspect(t, s, "Other", "another long secret of the other", token)
	if n := s.Store.Commits() - commits; n != 0 {
		t.Errorf("introspection of a living client: %d commits, want none", n)
	}
	check(t, s.Activate(map[string]string{"p.rego": "package admission.defaults\n\nsettings := {}\n"}))
	introspect(t, s, "Other", "another long secret of the other", token)
	if r := s.Records(store.RecordQuery{Event: "client.pruned"}); len(r) != 1 {
		t.Errorf("client.pruned records = %+v, want one", r)
	}
}

// TestIntrospectionOfTheDeadOnAFullDisk: what is over is inactive also while
// its end cannot be written, and the end is written by the next who meets it.
func TestIntrospectionOfTheDeadOnAFullDisk(t *testing.T) {
	t.Parallel()
	var f *flaky
	s := servertest.New(t, servertest.Options{Wrap: func(st store.Store) store.Store {
		f = &flaky{Store: st, left: -1}
		return f
	}})
	s.Docs.Publish(client, refreshing)
	token := signedIn(t, s)["access_token"]
	check(t, s.Activate(map[string]string{"p.rego": "package admission.defaults\n\nsettings := {}\n"}))
	f.set(true)
	if status, got, _ := introspect(t, s, "Example MCP server", servertest.Secret, token); status != http.StatusOK || got["active"] != false {
		t.Errorf("introspection: %d %v, want inactive", status, got)
	}
	f.set(false)
	if r := s.Records(store.RecordQuery{Event: "client.pruned"}); len(r) != 0 {
		t.Errorf("client.pruned records = %+v, want none: nothing could be written", r)
	}
	if isActive(t, s, token) {
		t.Error("a client that no policy names is alive")
	}
	if r := s.Records(store.RecordQuery{Event: "client.pruned"}); len(r) != 1 {
		t.Errorf("client.pruned records = %+v, want one", r)
	}
}

// TestRS256WhereAResourceAsks is X13: both keys are published, and the
// resource's tokens are signed with the one it asks for.
func TestRS256WhereAResourceAsks(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{Resources: []broker.Resource{
		{ID: servertest.Resource, Name: "Example MCP server", Scopes: []string{"mcp:read"}, TokenFormat: "jwt", SigningAlg: "RS256"},
	}})
	s.Docs.Publish(client, refreshing)
	token := signedIn(t, s)["access_token"].(string)
	head, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil || !strings.Contains(string(head), `"alg":"RS256"`) || !strings.Contains(string(head), `"typ":"at+jwt"`) {
		t.Errorf("header %s (%v), want RS256 and at+jwt", head, err)
	}
	resp, err := s.Client().Get(s.Issuer + "/jwks")
	check(t, err)
	defer resp.Body.Close()
	var set struct {
		Keys []struct{ Alg string }
	}
	check(t, json.NewDecoder(resp.Body).Decode(&set))
	if len(set.Keys) != 2 || set.Keys[0].Alg == set.Keys[1].Alg {
		t.Errorf("published keys = %+v, want ES256 and RS256", set.Keys)
	}
	if _, got, _ := introspect(t, s, "Example MCP server", servertest.Secret, token); got["active"] != true {
		t.Errorf("introspection of an RS256 token: %v", got)
	}
}

// check ends a test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
