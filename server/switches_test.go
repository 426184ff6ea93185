package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// switchPolicy admits and lets clients refresh.
var switchPolicy = map[string]string{"clients.rego": `package admission.policies.clients

client_ids := {"https://client.example.com/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
	"redirect": {"loopback": true},
}
`}

// TestPF01Switches plays cimd.admit and cimd.advertise in four combinations
// (G-13, G-25, A3) against a client that was known before: which of them stops
// what, and what goes on (design §9, the row "CIMD switched off").
func TestPF01Switches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ admit, advertise, flag bool }{
		{true, true, true}, {true, false, false}, {false, true, false}, {false, false, false},
	} {
		t.Run(fmt.Sprintf("admit %v advertise %v", tt.admit, tt.advertise), func(t *testing.T) {
			dir := t.TempDir()
			s := start(t, servertest.Options{Policy: switchPolicy, Dir: dir})
			s.Docs.Publish(client, refreshing)
			tokens := signedIn(t, s)
			waiting := codePage(t, s, s.Browser(), nil)
			s.Stop()

			s = start(t, servertest.Options{Policy: switchPolicy, Dir: dir, AdmitOff: !tt.admit, Hidden: !tt.advertise, Start: s.Clock.Now()})
			meta := answerOf(t, send(t, "GET", s.Issuer+"/.well-known/oauth-authorization-server", "", nil))
			if got, there := meta["client_id_metadata_document_supported"]; there != tt.flag || there && got != true {
				t.Errorf("client_id_metadata_document_supported = %v, there %v, want %v", got, there, tt.flag)
			}
			begin := func(id string) servertest.Page { return s.Browser().Authorize(s.Request(id, nil)) }
			s.Docs.Publish(docHost+"/newcomer", nil)
			known, newcomer := begin(client), begin(docHost+"/newcomer")
			exchanged := post(t, s, s.Exchange(client, waiting, nil), nil)
			refreshed, _ := refresh(s, tokens["refresh_token"], nil)
			_, told, _ := introspect(t, s, "Example MCP server", servertest.Secret, tokens["access_token"])
			if !tt.admit {
				wantPage(t, s, known, http.StatusForbidden, broker.ReasonCIMDOff)
				wantPage(t, s, newcomer, http.StatusForbidden, broker.ReasonCIMDOff)
				wantJSON(t, s, exchanged, http.StatusBadRequest, "invalid_grant", broker.ReasonCIMDOff)
				if refreshed != http.StatusBadRequest || told["active"] != false {
					t.Errorf("refresh: %d, active: %v, want 400 and false", refreshed, told["active"])
				}
			} else if known.Status != 200 || newcomer.Status != 200 || exchanged.Status != 200 || refreshed != 200 || told["active"] != true {
				t.Errorf("known %d, newcomer %d, exchange %d, refresh %d, active %v, want it all to go on", known.Status, newcomer.Status, exchanged.Status, refreshed, told["active"])
			}
			if got, want := s.Docs.Total(), map[bool]int{true: 1}[tt.admit]; got != want {
				t.Errorf("%d fetches, want %d", got, want)
			}
			if rows, err := s.Store.Clients(t.Context(), store.ClientQuery{}); err != nil || len(rows) != s.Docs.Total()+1 {
				t.Errorf("%d clients, %v: the switch ends none and makes none", len(rows), err)
			}
			s.Stop()

			// What was refused was not ended: it goes on with the switch.
			s = start(t, servertest.Options{Policy: switchPolicy, Dir: dir, Start: s.Clock.Now()})
			if !tt.admit {
				if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
					t.Errorf("refresh once the switch is on again: %d %v", status, answer)
				}
			}
			if got := revoke(t, s, tokens["refresh_token"]); got != http.StatusOK {
				t.Errorf("revoke: %d", got)
			}
		})
	}
}

// TestRevocationWhileSwitchedOff: whoever holds a token can give it back,
// whatever the switches say, and nothing is fetched (G-20).
func TestRevocationWhileSwitchedOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, servertest.Options{Policy: switchPolicy, Dir: dir})
	s.Docs.Publish(client, refreshing)
	tokens := signedIn(t, s)
	s.Stop()
	s = start(t, servertest.Options{Policy: switchPolicy, Dir: dir, AdmitOff: true, Start: s.Clock.Now()})
	if got := revoke(t, s, tokens["refresh_token"]); got != http.StatusOK || s.Docs.Total() != 0 {
		t.Errorf("revoke: %d with %d fetches, want 200 without", got, s.Docs.Total())
	}
	s.Stop()
	s = start(t, servertest.Options{Policy: switchPolicy, Dir: dir, Start: s.Clock.Now()})
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusBadRequest {
		t.Errorf("refresh of a revoked grant: %d %v, want 400", status, answer)
	}
}

// TestPF01PinnedGoesOn: cimd.admit stops clients that nobody vouches for. One
// that an operator pinned goes through its whole flow, and nothing is fetched.
func TestPF01PinnedGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: switchPolicy, AdmitOff: true})
	document, err := json.Marshal(map[string]any{
		"client_id": client, "client_name": "Example", "client_uri": docHost, "redirect_uris": []string{redirectURI},
		"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
	})
	if err != nil {
		t.Fatal(err)
	}
	u := s.Store.Begin()
	if err := s.Broker.PinClient(t.Context(), u, "uid 1000", client, document); err != nil {
		t.Fatal(err)
	}
	if err := s.Store.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	tokens := signedIn(t, s)
	if _, told, _ := introspect(t, s, "Example MCP server", servertest.Secret, tokens["access_token"]); told["active"] != true {
		t.Errorf("active: %v, want true", told["active"])
	}
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Errorf("refresh: %d %v", status, answer)
	}
	wantPage(t, s, s.Browser().Authorize(s.Request(docHost+"/other", nil)), http.StatusForbidden, broker.ReasonCIMDOff)
	if n := s.Docs.Total(); n != 0 {
		t.Errorf("%d fetches, want none", n)
	}
}
