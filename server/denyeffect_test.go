package server_test

import (
	"net/http"
	"net/url"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestDenialEffectsAtRefresh: a denial fails the call and leaves the family
// alone; with effect end_grant the grant is over for ever, also when the policy
// comes back. What the hour says ends nothing unless the head says so (design
// §4).
func TestDenialEffectsAtRefresh(t *testing.T) {
	t.Parallel()
	const base = "# METADATA\n# title: Example\n# authors: [Team <team@corp.example>]\npackage admission.policies.example\n\n" +
		"client_ids := {\"" + client + "\"}\n\n" +
		`settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}, "redirect": {"loopback": true}, ` +
		`"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}}` + "\n\n"
	for _, tt := range []struct {
		name, rule string
		ended      broker.Reason
	}{
		{"refuse", `deny_refresh contains {"code": "x", "message": "m"} if "eng" in input.user.groups`, ""},
		{"end_grant", `deny_refresh contains {"code": "x", "message": "m", "effect": "end_grant"} if "eng" in input.user.groups`, broker.ReasonGrantEndedByPolicy},
		{"end_grant of an earlier phase", `deny contains {"code": "x", "message": "m", "effect": "end_grant"} if input.client.port == ""`, broker.ReasonGrantEndedByPolicy},
		{"the hour", `deny_user contains {"code": "x", "message": "m"} if input.clock.hour >= 0`, ""},
		{"the hour, hidden", "deny_user contains _d if input.clock.hour >= 0\n\n_d := {\"code\": \"x\", \"message\": \"m\", \"effect\": \"end_grant\"}", ""},
		{"the hour, said", `deny_user contains {"code": "x", "message": "m", "effect": "end_grant"} if input.clock.hour >= 0`, broker.ReasonGrantEndedByPolicy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := servertest.New(t, servertest.Options{Policy: map[string]string{"p.rego": base}})
			s.Docs.Publish(client, refreshing)
			p := s.Browser().Play(s.Request(client, nil))
			_, tokens, _ := s.Token(s.Exchange(client, p, nil))
			check(t, s.Activate(map[string]string{"p.rego": base + tt.rule + "\n"}))
			if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
				t.Errorf("denied refresh: %d %v, want invalid_grant", status, answer)
			}
			grants, err := s.Store.Grants(t.Context(), store.GrantQuery{Subject: "alice"})
			check(t, err)
			if len(grants) != 1 || grants[0].EndReason != tt.ended {
				t.Errorf("grants %+v, want one that ended for %q", grants, tt.ended)
			}
			check(t, s.Activate(map[string]string{"p.rego": base}))
			want := http.StatusOK
			if tt.ended != "" {
				want = http.StatusBadRequest
			}
			if status, answer := refresh(s, tokens["refresh_token"], url.Values{}); status != want {
				t.Errorf("after the denial was taken back: %d %v, want %d", status, answer, want)
			}
		})
	}
}

// TestQ6RefreshTokenIssue: a refresh token needs refresh_token.issue and the
// grant type, both; a document that asks for one is let in without it (Q6).
func TestQ6RefreshTokenIssue(t *testing.T) {
	t.Parallel()
	const head = "# METADATA\n# title: Example\n# authors: [Team <team@corp.example>]\npackage admission.policies.example\n\n" +
		"client_ids := {\"" + client + "\"}\n\n" + `settings := {"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}, "redirect": {"loopback": true}, `
	for _, tt := range []struct {
		rest string
		want bool
	}{
		{`"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}}`, true},
		{`"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": false}}`, false},
		{`"grant_types": ["authorization_code", "refresh_token"]}`, false},
		{`"grant_types": ["authorization_code"], "refresh_token": {"issue": true}}`, false},
	} {
		s := servertest.New(t, servertest.Options{Policy: map[string]string{"p.rego": head + tt.rest + "\n"}})
		s.Docs.Publish(client, refreshing)
		_, tokens, _ := s.Token(s.Exchange(client, s.Browser().Play(s.Request(client, nil)), nil))
		if tokens["access_token"] == nil || (tokens["refresh_token"] != nil) != tt.want {
			t.Errorf("%s: answer %v, want a refresh token %v", tt.rest, tokens, tt.want)
		}
	}
}
