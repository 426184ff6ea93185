package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// TestM34LargerScopeAsksAgain: a client that comes back for more than the
// person allowed asks again, also where consent is remembered; the grant of
// before goes on as it was and does not grow (step-up, A15, Q19).
func TestM34LargerScopeAsksAgain(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: consentPolicy(`{"mode": "once", "max_age": "30d"}, "grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}`)})
	publishWeb(s, map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}})
	b := s.Browser()
	come := func(scope string) servertest.Page { return b.Get(webRequest(s, url.Values{"scope": {scope}})) }
	tokens := func(scope string, short bool) map[string]any {
		t.Helper()
		p := come(scope)
		if isSignIn(p) {
			p = b.SignIn(p, servertest.Person)
		}
		wantClick(t, s, p)
		if isShort(p) != short {
			t.Errorf("scope %q: shortened page %v, want %v", scope, isShort(p), short)
		}
		for name := range strings.FieldsSeq(scope) {
			if !strings.Contains(p.Body, name) {
				t.Errorf("the page for %q does not say %s", scope, name)
			}
		}
		p = b.Submit(p, "decision", allow())
		status, answer, _ := s.Token(s.Exchange(webClient, p, url.Values{"redirect_uri": {webRedirect}}))
		if status != http.StatusOK || answer["scope"] != scope {
			t.Fatalf("exchange for %q: %d %v", scope, status, answer)
		}
		return answer
	}
	refresh := func(of map[string]any, scope ...string) servertest.Page {
		return post(t, s, url.Values{"grant_type": {"refresh_token"}, "client_id": {webClient}, "refresh_token": {fmt.Sprint(of["refresh_token"])}, "scope": scope}, nil)
	}
	first := tokens("mcp:read", false)
	second := tokens("mcp:read mcp:write", false)
	tokens("mcp:read mcp:write", true)
	wantJSON(t, s, refresh(first, "mcp:read mcp:write"), http.StatusBadRequest, "invalid_scope", broker.ReasonScopeNotAllowed)
	for scope, of := range map[string]map[string]any{"mcp:read": first, "mcp:read mcp:write": second} {
		if p := refresh(of); p.Status != http.StatusOK || !strings.Contains(p.Body, `"scope":"`+scope+`"`) {
			t.Errorf("refresh of the grant for %q: %d %s", scope, p.Status, brief(p))
		}
	}
}

// TestM15NoParameterTwice: a redirect URI whose query holds a parameter of the
// answer is never redirected to, although the document lists it: the client
// would read two of it. The document's other one works.
func TestM15NoParameterTwice(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	id, good := docHost+"/twice", docHost+"/cb?tenant=1"
	bad := []string{docHost + "/cb?iss=https%3A%2F%2Fevil.example", docHost + "/cb?state=x", docHost + "/cb?tenant=1&code=x", "http://127.0.0.1/cb?error=x"}
	s.Docs.Publish(id, map[string]any{"redirect_uris": append(bad, good)})
	for _, uri := range bad {
		p := s.Browser().Authorize(s.Request(id, url.Values{"redirect_uri": {uri}}))
		wantPage(t, s, p, http.StatusBadRequest, broker.ReasonRedirectMismatch)
	}
	p := s.Browser().Play(s.Request(id, url.Values{"redirect_uri": {good}}))
	if q := queryOf(t, p.Location); !strings.HasPrefix(p.Location, good+"&") || len(q["iss"]) != 1 || len(q["code"]) != 1 || q.Get("tenant") != "1" {
		t.Errorf("location = %q, want %s with one code and one iss", p.Location, good)
	}
}
