package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// lasting is base with what becomes of grants when the policy is gone, and
// with refresh tokens.
func lasting(onPolicyChange string) map[string]string {
	return map[string]string{"clients.rego": strings.Replace(base, "settings := {", `settings := {
	"on_policy_change": "`+onPolicyChange+`",
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},`, 1)}
}

// waiting plays a flow up to its code.
func waiting(t *testing.T, s *servertest.Server) url.Values {
	t.Helper()
	return s.Exchange(client, s.Browser().Play(s.Request(client, nil)), nil)
}

// isActive asks introspection about a token.
func isActive(t *testing.T, s *servertest.Server, token any) bool {
	t.Helper()
	_, got, _ := introspect(t, s, "Example MCP server", servertest.Secret, token)
	return got["active"] == true
}

// TestPF13OnPolicyChange: what each value of settings.on_policy_change lets go
// on when no policy names the client any more (G-07), and that nothing comes
// back with the policy that ended in the meantime (B30).
func TestPF13OnPolicyChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value           string
		refresh, active bool // after the policy is gone
		row             bool // the client is still there
		back            bool // the refresh token works once the policy is back
	}{
		{"revoke", false, false, false, false},
		{"stop_refresh", false, true, true, true},
		{"keep", true, true, true, true},
	} {
		t.Run(test.value, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{Policy: lasting(test.value)})
			s.Docs.Publish(client, refreshing)
			tokens, code := signedIn(t, s), waiting(t, s)
			hits := s.Docs.Hits(client)
			activate(t, s, nobody)
			p := s.Browser().Authorize(s.Request(client, nil))
			if p.Status != http.StatusForbidden || p.Location != "" {
				t.Errorf("new authorization: status %d to %q, want a page with 403", p.Status, p.Location)
			}
			if status, answer, _ := s.Token(code); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
				t.Errorf("code exchange: %d %v, want invalid_grant", status, answer)
			}
			if got := isActive(t, s, tokens["access_token"]); got != test.active {
				t.Errorf("introspection: active %v, want %v", got, test.active)
			}
			status, answer := refresh(s, tokens["refresh_token"], nil)
			if got := status == http.StatusOK; got != test.refresh {
				t.Errorf("refresh: %d %v, want it to work: %v", status, answer, test.refresh)
			}
			if test.refresh {
				tokens = answer
			}
			if _, found, err := s.Store.Begin().Client(t.Context(), client); found != test.row || err != nil {
				t.Errorf("the client is there: %v (%v), want %v", found, err, test.row)
			}
			activate(t, s, lasting(test.value))
			if status, answer := refresh(s, tokens["refresh_token"], nil); (status == http.StatusOK) != test.back {
				t.Errorf("refresh with the policy back: %d %v, want it to work: %v", status, answer, test.back)
			}
			if s.Docs.Hits(client) != hits {
				t.Errorf("%d fetches beyond the first flow's", s.Docs.Hits(client)-hits)
			}
		})
	}
}

// TestPF13StricterCounts: of what the client's last commit and the grant say
// the stricter holds, and ends just the grant where only that says revoke.
func TestPF13StricterCounts(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: lasting("revoke")})
	s.Docs.Publish(client, refreshing)
	strict, alsoStrict := signedIn(t, s), signedIn(t, s)
	activate(t, s, lasting("keep"))
	lax := signedIn(t, s) // the row says keep from here on
	activate(t, s, nobody)
	if isActive(t, s, strict["access_token"]) {
		t.Error("a grant that says revoke is active without its policy")
	}
	if status, _ := refresh(s, alsoStrict["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh of a grant that says revoke: %d", status)
	}
	status, answer := refresh(s, lax["refresh_token"], nil)
	if status != http.StatusOK || !isActive(t, s, lax["access_token"]) {
		t.Errorf("refresh of a grant that says keep: %d %v", status, answer)
	}
	ended := s.Records(store.RecordQuery{Event: "grant.ended"})
	if len(ended) != 2 || ended[0].Reason != string(broker.ReasonGrantEndedByPolicy) || !strings.Contains(ended[0].Detail, "on_policy_change: revoke") {
		t.Errorf("records of ended grants = %+v, want two", ended)
	}
	activate(t, s, lasting("keep"))
	for _, tokens := range []map[string]any{strict, alsoStrict} {
		if status, _ := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || isActive(t, s, tokens["access_token"]) {
			t.Errorf("a grant that ended works again with its policy: refresh %d", status)
		}
	}
}

// TestPF13KeepIsBounded: guardrails are asked about what is kept, it gives no
// scope beyond the grant's terms and the guardrails' ceiling, and it ends with
// the client (H-05).
func TestPF13KeepIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: lasting("keep")})
	s.Docs.Publish(client, refreshing)
	p := s.Browser().Play(s.Request(client, url.Values{"scope": {"mcp:read mcp:write"}}))
	status, tokens, _ := s.Token(s.Exchange(client, p, nil))
	if status != http.StatusOK || tokens["scope"] != "mcp:read mcp:write" {
		t.Fatalf("token: %d %v", status, tokens)
	}
	activate(t, s, map[string]string{"g.rego": `package admission.guardrails

ceiling := {"scopes": {"ceiling": ["mcp:read"]}}
`})
	status, answer := refresh(s, tokens["refresh_token"], nil)
	if status != http.StatusOK || answer["scope"] != "mcp:read" {
		t.Fatalf("refresh under a ceiling: %d %v, want mcp:read alone", status, answer)
	}
	activate(t, s, map[string]string{"g.rego": `package admission.guardrails

deny_refresh contains {"code": "no", "message": "not now"} if "mcp:read" in input.effective.scopes
`})
	if status, denied := refresh(s, answer["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh against a guardrail: %d %v", status, denied)
	}
	activate(t, s, nobody)
	if status, answer = refresh(s, answer["refresh_token"], nil); status != http.StatusOK {
		t.Errorf("refresh once the guardrail is gone: %d %v", status, answer)
	}
	row, _, err := s.Store.Begin().Client(t.Context(), client)
	check(t, err)
	s.Clock.Advance(row.ExpiresAt.Sub(s.Clock.Now()))
	if status, answer := refresh(s, answer["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh at the client's end: %d %v", status, answer)
	}
}

// TestPF13AnotherPolicyTakesOver: a policy that still names the client under
// another name keeps what it gave.
func TestPF13AnotherPolicyTakesOver(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: lasting("revoke")})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	files := lasting("revoke")
	activate(t, s, map[string]string{"x.rego": strings.Replace(files["clients.rego"], "policies.clients", "policies.others", 1)})
	s.Clock.Advance(time.Second)
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Errorf("refresh under another policy: %d %v", status, answer)
	}
}
