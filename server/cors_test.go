package server_test

import (
	"net/http"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// corsHeaders are the headers that the Fetch standard knows.
var corsHeaders = []string{
	"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Allow-Methods",
	"Access-Control-Allow-Headers", "Access-Control-Max-Age", "Access-Control-Allow-Credentials",
}

// corsOf is those of a page, one a line.
func corsOf(p servertest.Page) string {
	var b strings.Builder
	for _, k := range corsHeaders {
		for _, v := range p.Header.Values(k) {
			b.WriteString(k + ": " + v + "\n")
		}
	}
	return b.String()
}

// TestCORS: scripts of other sites read what a client in a browser needs,
// refusals too, and nothing that a person sees.
func TestCORS(t *testing.T) {
	t.Parallel()
	const simple = "Access-Control-Allow-Origin: *\nAccess-Control-Expose-Headers: X-Request-Id, WWW-Authenticate\n"
	for _, base := range []string{"", "/tenant"} {
		s := start(t, servertest.Options{Path: base})
		root := strings.TrimSuffix(s.Issuer, base)
		open := map[string]string{
			base + "/token": "POST, OPTIONS", base + "/revoke": "POST, OPTIONS", base + "/jwks": "GET, OPTIONS",
			"/.well-known/oauth-authorization-server" + base: "GET, OPTIONS", "/.well-known/openid-configuration" + base: "GET, OPTIONS",
			base + "/.well-known/oauth-authorization-server": "GET, OPTIONS", base + "/.well-known/openid-configuration": "GET, OPTIONS",
		}
		closed := []string{
			base + "/authorize", base + "/signin", base + "/signout", base + "/consent", base + "/account", base + "/introspect",
			base + "/help/try_later", "/livez", "/readyz", "/nowhere", "/.well-known/nothing", base + "/token/", base + "/x/jwks",
		}
		for _, origin := range []http.Header{{}, {"Origin": {"https://app.example"}}, {"Origin": {"null"}}} {
			for path, methods := range open {
				for _, method := range []string{"GET", "POST", "PUT"} {
					p := send(t, method, root+path, "", origin)
					if got := corsOf(p); got != simple {
						t.Errorf("%s %s, %v: status %d with\n%swant\n%s", method, path, origin, p.Status, got, simple)
					}
					if p.Status == http.StatusMethodNotAllowed && p.Header.Get("Allow") != methods {
						t.Errorf("%s %s: Allow = %q, want %q", method, path, p.Header.Get("Allow"), methods)
					}
				}
				ask := origin.Clone()
				ask.Set("Access-Control-Request-Method", "POST")
				ask.Set("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version")
				p := send(t, "OPTIONS", root+path, "", ask)
				want := simple + "Access-Control-Allow-Methods: " + methods +
					"\nAccess-Control-Allow-Headers: Authorization, Content-Type, MCP-Protocol-Version\nAccess-Control-Max-Age: 7200\n"
				if got := corsOf(p); p.Status != http.StatusNoContent || p.Body != "" || got != want {
					t.Errorf("OPTIONS %s, %v: status %d with\n%swant 204 with\n%s", path, origin, p.Status, got, want)
				}
			}
			for _, path := range closed {
				for _, method := range []string{"GET", "POST", "OPTIONS"} {
					p := send(t, method, root+path, "", origin)
					if got := corsOf(p); got != "" || method == "OPTIONS" && p.Status < 400 {
						t.Errorf("%s %s, %v: status %d with\n%swant none", method, path, origin, p.Status, got)
					}
				}
			}
		}
	}
}

// TestCORSOnTokens: a token answer and a refusal that names a status of its
// own can be read too.
func TestCORSOnTokens(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	form := s.Exchange(client, codePage(t, s, s.Browser(), nil), nil)
	for _, want := range []int{http.StatusOK, http.StatusBadRequest} {
		p := post(t, s, form, http.Header{"Origin": {"https://app.example"}})
		if p.Status != want || p.Header.Get("Access-Control-Allow-Origin") != "*" || p.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("status %d with\n%swant %d, readable", p.Status, corsOf(p), want)
		}
	}
	p := send(t, "OPTIONS", s.Issuer+"/token", "", http.Header{"Host": {"evil.example"}})
	if p.Status != http.StatusMisdirectedRequest {
		t.Errorf("preflight for another Host: status %d, want 421", p.Status)
	}
}

// TestTrap13RepeatedHeaders: a header that two parsers could read differently
// is refused at the endpoints of clients.
func TestTrap13RepeatedHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	form := s.Exchange(client, codePage(t, s, s.Browser(), nil), nil)
	basic := basic(strings.ReplaceAll(client, ":", "%3A"), "").Get("Authorization")
	for name, header := range map[string]http.Header{
		"Authorization":              {"Authorization": {basic, basic}},
		"Authorization, once empty":  {"Authorization": {"", basic}},
		"Content-Type":               {"Content-Type": {"application/x-www-form-urlencoded", "application/x-www-form-urlencoded"}},
		"Content-Type of two values": {"Content-Type": {"application/x-www-form-urlencoded", "application/json"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantJSON(t, s, post(t, s, form, header), http.StatusBadRequest, "invalid_request", broker.ReasonRequestInvalid)
		})
	}
	if p := post(t, s, form, http.Header{"Authorization": {basic}}); p.Status != http.StatusOK {
		t.Errorf("one header: status %d\n%s", p.Status, p.Body)
	}
}
