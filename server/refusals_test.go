package server_test

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// loopbackNames answers every name with an address that is never dialled,
// and no.example.org with none.
type loopbackNames struct{}

func (loopbackNames) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if host == "no.example.org." {
		return nil, nil
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// refusalPolicies refuse in every way that a policy can.
func refusalPolicies() map[string]string {
	files := map[string]string{}
	files["clients.rego"] = `package admission.policies.clients

client_ids := {"https://client.example.com/**", "https://closed.example.org/**", "https://other.example.org/**", "https://no.example.org/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"redirect": {"relation": "cross_site", "loopback": true},
}

deny contains {"code": "no", "message": "operators read this"} if input.client.path == "/denied"

deny_document contains {"code": "name", "message": "no such name", "user_message": "Ask the help desk."} if input.published.client_name == "Forbidden"
`
	files["broken.rego"] = `package admission.policies.broken

client_ids := {"https://client.example.com/broken"}

deny contains {"code": "boom", "message": "never said"} if to_number(input.client.path) == 1
`
	files["strict.rego"] = `package admission.policies.strict

client_ids := {"https://client.example.com/strict"}

priority := 10

settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}}
`
	return files
}

const docHost = "https://client.example.com"

// TestTrap10ErrorsBeforeTheRedirectArePages walks every refusal that must not
// leave this server (M26, X5, A13, Q14, B15): the client is not admitted, its
// document is not in hand, or the redirect URI is not one of it.
func TestTrap10ErrorsBeforeTheRedirectArePages(t *testing.T) {
	t.Parallel()
	s := servertest.New(t, servertest.Options{
		Policy: refusalPolicies(), Resolver: loopbackNames{},
		HostMap: map[string]string{"closed.example.org:443": "127.0.0.1:1"},
	})
	id := func(name string) string { return docHost + "/" + name }
	tests := []struct {
		name    string
		client  string
		publish func(id string)
		changes url.Values
		status  int
		reason  broker.Reason
		fetches int
	}{
		{"no client_id", "", nil, url.Values{"client_id": nil}, 400, broker.ReasonRequestInvalid, 0},
		{"U4 client_id without path", docHost, nil, nil, 400, broker.ReasonClientIDMalformed, 0},
		{"U2 client_id with userinfo", "https://a@client.example.com/x", nil, nil, 400, broker.ReasonClientIDMalformed, 0},
		{"opaque client_id", "s6BhdRkqt3", nil, nil, 400, broker.ReasonClientIDUnknown, 0},
		{"U1 http client_id", "http://client.example.com/x", nil, nil, 400, broker.ReasonClientIDMalformed, 0},
		{"U6 Q15 query not allowed", id("query?v=1"), nil, nil, 403, broker.ReasonQueryNotAllowed, 0},
		{"no policy matched", "https://stranger.example.net/x", nil, nil, 403, broker.ReasonNoPolicyMatched, 0},
		{"policy denied", id("denied"), nil, nil, 403, broker.ReasonPolicyDenied, 0},
		{"policy error", id("broken"), nil, nil, 403, broker.ReasonPolicyError, 0},
		{"F11 address blocked", "https://other.example.org/x", nil, nil, 400, broker.ReasonFetchBlockedAddress, 0},
		{"no address", "https://no.example.org/x", nil, nil, 400, broker.ReasonFetchDNS, 0},
		{"nothing listens", "https://closed.example.org/x", nil, nil, 400, broker.ReasonFetchConnect, 0},
		{"F4 D4 404", id("absent"), nil, nil, 400, broker.ReasonFetchStatus, 1},
		{"F5 Q12 redirect", id("moved"), answer(s, servertest.Answer{Status: 302, Header: map[string]string{"Location": docHost + "/x"}}), nil, 400, broker.ReasonFetchRedirect, 1},
		{"F15 too large", id("large"), answer(s, servertest.Answer{Body: string(make([]byte, 6000))}), nil, 400, broker.ReasonFetchTooLarge, 1},
		{"D5 html", id("html"), answer(s, servertest.Answer{Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}), nil, 400, broker.ReasonFetchContentType, 1},
		{"D1 not JSON", id("text"), answer(s, servertest.Answer{Body: "{"}), nil, 400, broker.ReasonDocumentNotJSON, 1},
		{"D3 other client_id", id("mismatch"), members(s, "client_id", docHost+"/else"), nil, 400, broker.ReasonDocumentMismatch, 1},
		{"D8 secret", id("secret"), members(s, "client_secret", ""), nil, 400, broker.ReasonDocumentSecret, 1},
		{"D17 no method left", id("keyed"), members(s, "token_endpoint_auth_method", "tls_client_auth"), nil, 400, broker.ReasonDocumentAuthMethod, 1},
		{"Q1 no grant type left", id("implicit"), members(s, "grant_types", []string{"implicit"}), nil, 400, broker.ReasonDocumentNothingUsable, 1},
		{"M11 B41 SN-11 no redirect URIs", id("nowhere"), members(s, "redirect_uris", []string{}), nil, 400, broker.ReasonDocumentRedirects, 1},
		{"Trap24 javascript redirect", id("script"), members(s, "redirect_uris", []string{"javascript:alert(1)"}), url.Values{"redirect_uri": {"javascript:alert(1)"}}, 400, broker.ReasonDocumentRedirects, 1},
		{"M24 http redirect to another machine", id("http"), members(s, "redirect_uris", []string{"http://client.example.com/cb"}), nil, 400, broker.ReasonDocumentRedirects, 1},
		{"PAR demanded", id("par"), members(s, "require_pushed_authorization_requests", true), nil, 400, broker.ReasonDocumentDemands, 1},
		{"DPoP demanded", id("dpop"), members(s, "dpop_bound_access_tokens", true), nil, 400, broker.ReasonDocumentDemands, 1},
		{"M12 SN-11 redirect_uri not registered", id("ok1"), members(s), url.Values{"redirect_uri": {"https://evil.example/cb"}}, 400, broker.ReasonRedirectMismatch, 1},
		{"redirect_uri missing, two registered", id("ok2"), members(s), url.Values{"redirect_uri": nil}, 400, broker.ReasonRedirectMismatch, 1},
		{"Trap23 userinfo in redirect_uri", id("ok3"), members(s), url.Values{"redirect_uri": {"http://user@127.0.0.1:51234/callback"}}, 400, broker.ReasonRedirectMismatch, 1},
		{"B15 A6 SN-12 redirect_uri not allowed by settings", id("strict"), members(s), nil, 403, broker.ReasonRedirectNotAllowed, 1},
		{"M26 policy denies the document", id("named"), members(s, "client_name", "Forbidden"), nil, 403, broker.ReasonPolicyDenied, 1},
		{"faults wait for the redirect URI", id("ok4"), members(s), url.Values{"redirect_uri": {"https://evil.example/cb"}, "response_type": {"token"}, "scope": {"nope"}}, 400, broker.ReasonRedirectMismatch, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.publish != nil {
				tt.publish(tt.client)
			}
			before := s.Docs.Total()
			p := s.Browser().Authorize(s.Request(tt.client, tt.changes))
			wantPage(t, s, p, tt.status, tt.reason)
			if got := s.Docs.Total() - before; got != tt.fetches {
				t.Errorf("%d fetches, want %d", got, tt.fetches)
			}
			wantNobody(t, s)
		})
	}
	t.Run("user_message is said on purpose", func(t *testing.T) {
		if got := mark(s.Browser().Authorize(s.Request(id("named"), nil)), "user-message"); got != "Ask the help desk." {
			t.Errorf("user message = %q", got)
		}
	})
}

// answer publishes a at a case's client identifier.
func answer(s *servertest.Server, a servertest.Answer) func(string) {
	return func(id string) { s.Docs.Set(id, a) }
}

// members publishes a document with changed members, given as name and value
// in turn.
func members(s *servertest.Server, pairs ...any) func(string) {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return func(id string) { s.Docs.Publish(id, m) }
}

// TestTrap09ErrorRedirects walks the faults that are told to the client, with
// iss, state and the request id on each (X2, X10, X11, M15, M27). Each is the
// first request of a client that nobody knows (B15).
func TestTrap09ErrorRedirects(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	short := url.Values{"code_challenge": {"abcde"}}
	tests := []struct {
		name    string
		changes url.Values
		code    string
		reason  broker.Reason
	}{
		{"response_type missing", url.Values{"response_type": nil}, "invalid_request", broker.ReasonRequestInvalid},
		{"response_type token", url.Values{"response_type": {"token"}}, "unsupported_response_type", broker.ReasonResponseType},
		{"response_type with id_token", url.Values{"response_type": {"code id_token"}}, "unsupported_response_type", broker.ReasonResponseType},
		{"response_mode fragment", url.Values{"response_mode": {"fragment"}}, "invalid_request", broker.ReasonRequestInvalid},
		{"Trap04 request object", url.Values{"request": {"eyJhbGciOiJub25lIn0.e30."}, "scope": {"openid mcp:read"}}, "request_not_supported", broker.ReasonRequestObject},
		{"Trap05 request_uri", url.Values{"request_uri": {docHost + "/request.jwt"}}, "request_uri_not_supported", broker.ReasonRequestURI},
		{"Trap19 pushed request_uri", url.Values{"request_uri": {"urn:ietf:params:oauth:request_uri:abc"}}, "request_uri_not_supported", broker.ReasonRequestURI},
		{"Trap20 pushed request_uri, PKCE from the browser", url.Values{"request_uri": {"urn:ietf:params:oauth:request_uri:abc"}, "code_challenge": {servertest.Challenge}}, "request_uri_not_supported", broker.ReasonRequestURI},
		{"X2 no PKCE", url.Values{"code_challenge": nil, "code_challenge_method": nil}, "invalid_request", broker.ReasonPKCERequired},
		{"X2 plain", url.Values{"code_challenge_method": {"plain"}}, "invalid_request", broker.ReasonPKCERequired},
		{"X2 method missing means plain", url.Values{"code_challenge_method": nil}, "invalid_request", broker.ReasonPKCERequired},
		{"Trap03 challenge of 5", short, "invalid_request", broker.ReasonPKCERequired},
		{"scope malformed", url.Values{"scope": {"mcp:read  mcp:write"}}, "invalid_scope", broker.ReasonScopeMalformed},
		{"scope with a quote", url.Values{"scope": {`mcp:"read`}}, "invalid_scope", broker.ReasonScopeMalformed},
		{"Trap27 no scope left", url.Values{"scope": {"mcp mcp:*"}}, "invalid_scope", broker.ReasonScopeNotAllowed},
		{"X11 unknown resource", url.Values{"resource": {"https://else.example.com"}}, "invalid_target", broker.ReasonResourceUnknown},
		{"X11 one of two resources unknown", url.Values{"resource": {servertest.Resource, "https://else.example.com"}}, "invalid_target", broker.ReasonResourceUnknown},
		{"Trap25 path below the resource", url.Values{"resource": {servertest.Resource + "/other"}}, "invalid_target", broker.ReasonResourceUnknown},
		{"X11 resource with fragment", url.Values{"resource": {servertest.Resource + "#f"}}, "invalid_target", broker.ReasonResourceUnknown},
		{"X11 relative resource", url.Values{"resource": {"/mcp"}}, "invalid_target", broker.ReasonResourceUnknown},
		{"eleven resources", url.Values{"resource": eleven()}, "invalid_request", broker.ReasonRequestInvalid},
		{"prompt none", url.Values{"prompt": {"none"}}, "login_required", broker.ReasonLoginRequired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := s.Browser().Authorize(s.Request(client, tt.changes))
			wantRedirect(t, s, p, tt.code, tt.reason)
			if p.Status != http.StatusFound {
				t.Errorf("status %d, want 302", p.Status)
			}
			wantNobody(t, s)
		})
	}
	if n := s.Docs.Hits(docHost + "/request.jwt"); n != 0 {
		t.Errorf("the request_uri was fetched %d times (trap 5)", n)
	}
}

// eleven are more resources than are read.
func eleven() []string {
	var out []string
	for range 11 {
		out = append(out, servertest.Resource)
	}
	return out
}
