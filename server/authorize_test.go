package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// vector is a case of testdata/vectors/redirect_uris.json.
type vector struct {
	Name  string `json:"name"`
	Input struct {
		Registered []string `json:"registered"`
		Requested  *string  `json:"requested"`
	} `json:"input"`
	Valid bool   `json:"valid"`
	Rule  string `json:"rule"`
}

// TestA1RedirectVectors plays the redirect URI vectors through /authorize
// (M12, M25, traps 22 and 23, B21).
func TestA1RedirectVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../testdata/vectors/redirect_uris.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(b, &vectors); err != nil || len(vectors) < 27 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	s := start(t, servertest.Options{})
	for i, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			id := fmt.Sprintf("%s/vector/%d", docHost, i)
			s.Docs.Publish(id, map[string]any{"redirect_uris": v.Input.Registered})
			changes := url.Values{"redirect_uri": nil}
			if v.Input.Requested != nil {
				changes["redirect_uri"] = []string{*v.Input.Requested}
			}
			br := s.Browser()
			p := br.Authorize(s.Request(id, changes))
			if !v.Valid {
				reason := broker.ReasonRedirectMismatch
				if v.Name == "non-loopback-http-port" {
					reason = broker.ReasonDocumentRedirects // the document itself is refused
				}
				wantPage(t, s, p, http.StatusBadRequest, reason)
				return
			}
			p = br.Submit(br.SignIn(p, servertest.Person), "decision", url.Values{"decision": {"allow"}})
			want := v.Input.Registered[0]
			if v.Input.Requested != nil {
				want = *v.Input.Requested
			}
			if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, want+"?") || p.Param("code") == "" {
				t.Errorf("%s: status %d, location %q, want a code at %q\n%s", v.Rule, p.Status, p.Location, want, brief(p))
			}
		})
	}
}

// TestTrap22LocalhostAnyPort: real clients register http://localhost without
// a port and listen on any (B21).
func TestTrap22LocalhostAnyPort(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, uri := range []string{"http://localhost:51234/callback", "http://localhost/callback", "http://localhost:1/callback"} {
		b := s.Browser()
		p := codePage(t, s, b, url.Values{"redirect_uri": {uri}})
		if !strings.HasPrefix(p.Location, uri+"?") {
			t.Errorf("location = %q, want %q", p.Location, uri)
		}
		if got := post(t, s, s.Exchange(client, p, url.Values{"redirect_uri": {uri}}), nil); got.Status != http.StatusOK {
			t.Errorf("exchange for %s: status %d\n%s", uri, got.Status, got.Body)
		}
	}
}

// TestTrap07State: an absent state is no fault (PKCE protects), a short one
// comes back as it was, an empty one counts as absent (trap 8).
func TestTrap07State(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, tt := range []struct {
		name string
		sent []string
		want []string
	}{
		{"absent", nil, nil},
		{"Trap08 empty", []string{""}, nil},
		{"one character", []string{"x"}, []string{"x"}},
		{"needs escapes", []string{`a b&c=d#é"<`}, []string{`a b&c=d#é"<`}},
		{"long", []string{strings.Repeat("s", 1500)}, []string{strings.Repeat("s", 1500)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			yes := s.Browser().Play(s.Request(client, url.Values{"state": tt.sent}))
			no := s.Browser().Authorize(s.Request(client, url.Values{"state": tt.sent, "response_type": {"token"}}))
			if yes.Param("code") == "" || no.Param("error") == "" {
				t.Fatalf("locations %q, %q, want a code and an error", yes.Location, no.Location)
			}
			for _, p := range []servertest.Page{yes, no} {
				if got := queryOf(t, p.Location)["state"]; !slices.Equal(got, tt.want) {
					t.Errorf("%s: state = %q, want %q", p.Location, got, tt.want)
				}
			}
		})
	}
}

// TestTrap29RedirectParameters: exactly code, state and iss, in a redirect
// that never repeats the form (X3, X10, M15).
func TestTrap29RedirectParameters(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := codePage(t, s, s.Browser(), nil)
	q := queryOf(t, p.Location)
	var names []string
	for k, v := range q {
		names = append(names, k)
		if len(v) != 1 {
			t.Errorf("%s = %q, want it once", k, v)
		}
	}
	slices.Sort(names)
	if want := []string{"code", "iss", "state"}; !slices.Equal(names, want) || q.Get("iss") != s.Issuer {
		t.Errorf("parameters = %q, iss %q, want %q, iss %q", names, q.Get("iss"), want, s.Issuer)
	}
	if p.Status != http.StatusSeeOther || p.Header.Get("Referrer-Policy") != "no-referrer" || p.Header.Get("Cache-Control") != "no-store" || p.Body != "" {
		t.Errorf("status %d, referrer policy %q, body %q", p.Status, p.Header.Get("Referrer-Policy"), p.Body)
	}
}

// TestRedirectURIWithQuery keeps the bytes of the redirect URI.
func TestRedirectURIWithQuery(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for uri, want := range map[string]string{
		docHost + "/cb?a=%7E1": docHost + "/cb?a=%7E1&",
		docHost + "/cb?":       docHost + "/cb?",
	} {
		s.Docs.Publish(docHost+"/query", map[string]any{"redirect_uris": []string{uri}})
		s.Clock.Advance(2 * time.Hour)
		p := s.Browser().Authorize(s.Request(docHost+"/query", url.Values{"redirect_uri": {uri}, "response_type": {"token"}}))
		if !strings.HasPrefix(p.Location, want+"error=") {
			t.Errorf("location = %q, want %q and the error", p.Location, want)
		}
	}
}

// TestPostAuthorize: the endpoint takes forms too (RFC 6749 section 3.1).
func TestPostAuthorize(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	p := b.SignIn(b.Post(s.Issuer+"/authorize", s.Request(client, nil)), servertest.Person)
	if p = b.Submit(p, "decision", url.Values{"decision": {"allow"}}); p.Param("code") == "" {
		t.Errorf("status %d, location %q, want a code", p.Status, p.Location)
	}
	p = send(t, "POST", s.Issuer+"/authorize", s.Request(client, url.Values{"prompt": {"none"}}).Encode(), formHeader())
	wantRedirect(t, s, p, "login_required", broker.ReasonLoginRequired)
	if p.Status != http.StatusSeeOther {
		t.Errorf("status %d, want 303: the form must not be sent along (X3)", p.Status)
	}
}

// TestTrapF9Cookies: both cookies carry the __Host- prefix with all it wants.
// In development on http a plain twin serves browsers and jars that keep no
// Secure cookie there; it alone carries a whole flow.
func TestTrapF9Cookies(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	page := send(t, "GET", s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), "", nil)
	_, fields, _ := page.Form("password")
	fields.Set("username", servertest.Person)
	fields.Set("password", servertest.Password)
	h := formHeader()
	h.Set("Cookie", strings.Split(page.Header.Values("Set-Cookie")[1], ";")[0])
	in := send(t, "POST", s.Issuer+"/signin", fields.Encode(), h)
	for name, p := range map[string]servertest.Page{"__Host-guestlist-browser": page, "__Host-guestlist-session": in} {
		cookies := (&http.Response{Header: p.Header}).Cookies()
		if len(cookies) != 2 {
			t.Fatalf("%d cookies, want one and its plain twin: %q", len(cookies), p.Header["Set-Cookie"])
		}
		c, twin := cookies[0], cookies[1]
		if twin.Name != strings.TrimPrefix(name, "__Host-") || twin.Secure || !twin.HttpOnly || twin.Value != c.Value {
			t.Errorf("plain twin = %s", twin)
		}
		if c.Name != name || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Value) < 22 {
			t.Errorf("cookie = %s", c)
		}
	}
	if in.Status != http.StatusSeeOther {
		t.Errorf("sign-in: status %d, want 303", in.Status)
	}
}

// TestTrapF10PagesHeaders: the content security policy has no form-action,
// which would block the way back to the client, and no frame may hold a page.
func TestTrapF10PagesHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	signIn := b.Authorize(s.Request(client, nil))
	for name, p := range map[string]servertest.Page{"sign-in": signIn, "consent": b.SignIn(signIn, servertest.Person), "error": b.Get(s.Issuer + "/authorize"), "help": b.Get(s.Issuer + "/help/try_later")} {
		csp := p.Header.Get("Content-Security-Policy")
		if strings.Contains(csp, "form-action") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: content security policy = %q", name, csp)
		}
		if p.Header.Get("X-Frame-Options") != "DENY" || p.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", name, p.Header)
		}
	}
}

// TestA3Metadata: the metadata is at every location of its issuer, with and
// without a path (X9, M4, M5, M6, M7, M16).
func TestA3Metadata(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path      string
		locations []string
	}{
		{"", []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}},
		{"/tenant/a", []string{"/.well-known/oauth-authorization-server/tenant/a", "/.well-known/openid-configuration/tenant/a",
			"/tenant/a/.well-known/oauth-authorization-server", "/tenant/a/.well-known/openid-configuration"}},
	} {
		s := start(t, servertest.Options{Path: tt.path})
		root := strings.TrimSuffix(s.Issuer, tt.path)
		for _, location := range tt.locations {
			p := send(t, "GET", root+location, "", nil)
			if p.Status != http.StatusOK || p.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%s: status %d, content type %q", location, p.Status, p.Header.Get("Content-Type"))
			}
			m := answerOf(t, p)
			for k, want := range map[string]any{
				"issuer": s.Issuer, "authorization_endpoint": s.Issuer + "/authorize", "token_endpoint": s.Issuer + "/token",
				"jwks_uri": s.Issuer + "/jwks", "client_id_metadata_document_supported": true, "authorization_response_iss_parameter_supported": true,
				"revocation_endpoint": s.Issuer + "/revoke", "introspection_endpoint": s.Issuer + "/introspect",
				"request_parameter_supported": false, "request_uri_parameter_supported": false,
			} {
				if m[k] != want {
					t.Errorf("%s: %s = %v, want %v", location, k, m[k], want)
				}
			}
			for k, want := range map[string]string{
				"response_types_supported": "[code]", "grant_types_supported": "[authorization_code refresh_token]", "code_challenge_methods_supported": "[S256]",
				"token_endpoint_auth_methods_supported": "[none private_key_jwt]", "revocation_endpoint_auth_methods_supported": "[none private_key_jwt]",
				"token_endpoint_auth_signing_alg_values_supported": "[ES256 ES384 RS256 PS256 EdDSA]", "revocation_endpoint_auth_signing_alg_values_supported": "[ES256 ES384 RS256 PS256 EdDSA]", "scopes_supported": "[offline_access mcp:read mcp:write]", "protected_resources": "[" + servertest.Resource + "]",
			} {
				if got := fmt.Sprint(m[k]); got != want {
					t.Errorf("%s: %s = %v, want %v", location, k, got, want)
				}
			}
		}
		for _, k := range []string{"", "/"} {
			if p := send(t, "GET", root+"/.well-known/nothing"+k, "", nil); p.Status != http.StatusNotFound {
				t.Errorf("another well-known name: status %d", p.Status)
			}
		}
	}
}

// TestIssuerWithPath plays a whole flow below a path.
func TestIssuerWithPath(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Path: "/tenant"})
	p := codePage(t, s, s.Browser(), nil)
	got := post(t, s, s.Exchange(client, p, nil), nil)
	if got.Status != http.StatusOK || p.Param("iss") != s.Issuer {
		t.Fatalf("iss %q, token status %d\n%s", p.Param("iss"), got.Status, got.Body)
	}
	if c := servertest.Claims(t, answerOf(t, got)["access_token"]); c["iss"] != s.Issuer {
		t.Errorf("claim iss = %v, want %v", c["iss"], s.Issuer)
	}
}
