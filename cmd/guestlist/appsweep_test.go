package main

import (
	"net/http"
	"testing"

	"github.com/rs/zerolog"

	"guestlist/server/servertest"
	"guestlist/store"
)

// TestB30RestoredPolicyRevivesNothing: a client that nobody met while no policy
// named it does not come back with the policy, nor does its refresh token; a
// policy that was gone for a moment only, as while its file is written, ends
// nothing.
func TestB30RestoredPolicyRevivesNothing(t *testing.T) {
	const client = "https://client.example.com/oauth/client.json"
	named := map[string]string{"p.rego": `# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.example

client_ids := {"https://client.example.com/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read"]},
	"redirect": {"loopback": true},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}
`}
	for name, c := range map[string]struct {
		rounds int // while the policy is gone
		status int // of the refresh after it came back
	}{
		"for a moment": {1, http.StatusOK},
		"for longer":   {2, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.New(t, servertest.Options{Policy: named})
			sweep := &sweeper{store: s.Store, broker: s.Broker, now: s.Clock.Now, log: zerolog.New(failing{t})}
			s.Docs.Publish(client, map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}})
			status, tokens, _ := s.Token(s.Exchange(client, s.Browser().Play(s.Request(client, nil)), nil))
			if status != http.StatusOK {
				t.Fatalf("token: %d %v", status, tokens)
			}
			for range 3 {
				sweep.round(t.Context())
			}
			if err := s.Activate(map[string]string{}); err != nil {
				t.Fatal(err)
			}
			for range c.rounds {
				sweep.round(t.Context())
			}
			if err := s.Activate(named); err != nil {
				t.Fatal(err)
			}
			form := map[string][]string{
				"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {tokens["refresh_token"].(string)},
			}
			if status, answer, _ := s.Token(form); status != c.status {
				t.Errorf("refresh = %d %v, want %d", status, answer, c.status)
			}
			if pruned := s.Records(store.RecordQuery{Event: "client.pruned"}); len(pruned) != c.rounds-1 {
				t.Errorf("%d clients were pruned, want %d", len(pruned), c.rounds-1)
			}
		})
	}
}
