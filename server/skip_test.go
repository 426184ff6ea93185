package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// skipRedirect is on the origin of the client with a key.
const skipRedirect = "https://client.example.com/callback"

// skipServer has the client with a key under that consent; it redirects to its
// own origin and to loopback.
func skipServer(t *testing.T, policy map[string]string, method string) (*servertest.Server, *servertest.ClientKey) {
	t.Helper()
	s := servertest.New(t, servertest.Options{Policy: policy})
	k := servertest.NewClientKey(t, "ES256", "k1")
	s.Docs.Publish(client, keyedDocument(map[string]any{
		"jwks": servertest.KeySet(k), "token_endpoint_auth_method": method,
		"redirect_uris": []string{skipRedirect, "http://127.0.0.1/callback"},
	}))
	return s, k
}

// skipRequest asks for the client.
func skipRequest(s *servertest.Server, changes url.Values) string {
	q := s.Request(client, url.Values{"redirect_uri": {skipRedirect}, "scope": {"mcp:read mcp:write"}})
	for k, v := range changes {
		q[k] = v
	}
	return s.Issuer + "/authorize?" + q.Encode()
}

// TestSN14ConsentSkipped is SN-14, Q18, H-09: where a policy that names the exact
// URL says skip, a client with a key gets its code without a page, and the
// record says that nobody was asked and by which policy.
func TestSN14ConsentSkipped(t *testing.T) {
	t.Parallel()
	s, k := skipServer(t, keyedPolicy(`"consent": {"mode": "skip"},`), "private_key_jwt")
	b := s.Browser()
	p := b.SignIn(b.Follow(skipRequest(s, nil)), servertest.Person)
	for range 2 { // right after the sign-in, and with the session
		if p.Param("code") == "" {
			t.Fatalf("no code: status %d\n%s", p.Status, brief(p))
		}
		granted := s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id"), Event: "consent.granted"})
		if len(granted) != 1 {
			t.Fatalf("%d records of the consent", len(granted))
		}
		if r := granted[0]; !strings.Contains(r.Detail, "nobody was asked") || !strings.Contains(r.Detail, "keyed") || r.Outcome != decisionlog.OutcomeGranted || r.Subject == "" {
			t.Errorf("record = %+v", r)
		}
		form := s.Exchange(client, p, s.Asserted(k, client))
		form.Set("redirect_uri", skipRedirect)
		if status, answer, _ := s.Token(form); status != http.StatusOK || answer["scope"] != "mcp:read mcp:write" {
			t.Fatalf("token: %d %v", status, answer)
		}
		s.Clock.Advance(time.Second)
		p = b.Follow(skipRequest(s, nil))
	}
}

// TestQ18SkipAsksAllTheSame: every condition of skip that does not hold brings
// the page back.
func TestQ18SkipAsksAllTheSame(t *testing.T) {
	t.Parallel()
	skip := keyedPolicy(`"consent": {"mode": "skip"},`)
	wild := map[string]string{"keyed.rego": strings.ReplaceAll(strings.Replace(skip["keyed.rego"], `"mode": "skip"`, `"mode": "once"`, 1), client, "https://client.example.com/oauth/*")}
	for _, tt := range []struct {
		name, method string
		policy       map[string]string
		change       url.Values
	}{
		{"loopback redirect", "private_key_jwt", skip, url.Values{"redirect_uri": {"http://127.0.0.1:4711/callback"}}},
		{"client without a key", "none", skip, nil},
		{"client that asks for the page", "private_key_jwt", skip, url.Values{"prompt": {"consent"}}},
		{"policy of a pattern", "private_key_jwt", wild, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := skipServer(t, tt.policy, tt.method)
			b := s.Browser()
			p := b.SignIn(b.Follow(skipRequest(s, tt.change)), servertest.Person)
			if p.Status != http.StatusOK || p.Param("code") != "" || strings.Count(p.Body, `name="decision"`) != 2 {
				t.Errorf("status %d, location %q, want the page\n%s", p.Status, p.Location, brief(p))
			}
			if n := len(s.Records(store.RecordQuery{Event: "consent.granted"})); n != 0 {
				t.Errorf("%d grants before a click", n)
			}
		})
	}
}
