package server_test

import (
	"net/http"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// client is the public CIMD client of these tests.
const client = "https://client.example.com/oauth/client.json"

// TestOnePath plays design §3 from left to right, and counts the commits and
// fetches of its table.
func TestOnePath(t *testing.T) {
	s := servertest.New(t, servertest.Options{})
	s.Docs.Publish(client, nil)
	b := s.Browser()
	count := func(step string, commits uint64, fetches int, do func()) {
		t.Helper()
		before, hits := s.Store.Commits(), s.Docs.Total()
		do()
		if got := s.Store.Commits() - before; got != commits {
			t.Errorf("%s: %d commits, want %d", step, got, commits)
		}
		if got := s.Docs.Total() - hits; got != fetches {
			t.Errorf("%s: %d fetches, want %d", step, got, fetches)
		}
	}
	var p servertest.Page
	count("cold authorize", 1, 1, func() { p = b.Authorize(s.Request(client, nil)) })
	// PF-10: the client exists with its expiry before anybody signs in.
	row, found, err := s.Store.Begin().Client(t.Context(), client)
	if err != nil || !found || !row.ExpiresAt.After(s.Clock.Now()) {
		t.Fatalf("client before sign-in: found=%v expires=%v err=%v", found, row.ExpiresAt, err)
	}
	// A5: the row says how it came to be known.
	if row.Registration != broker.RegistrationCIMD {
		t.Errorf("registration = %q, want %q", row.Registration, broker.RegistrationCIMD)
	}
	// F7, SN-02: what is fresh is not fetched.
	count("warm authorize", 0, 0, func() { p = b.Authorize(s.Request(client, nil)) })
	count("sign-in", 1, 0, func() { p = b.SignIn(p, servertest.Person) })
	count("consent", 1, 0, func() { p = b.Submit(p, "decision", map[string][]string{"decision": {"allow"}}) })
	if p.Status != http.StatusSeeOther || p.Param("code") == "" || p.Param("state") != "state-1" || p.Param("iss") != s.Issuer {
		t.Fatalf("after consent: status %d, location %q\n%s", p.Status, p.Location, p.Body)
	}
	var token map[string]any
	count("code exchange", 1, 0, func() {
		status, answer, header := s.Token(s.Exchange(client, p, nil))
		if status != http.StatusOK || header.Get("Cache-Control") != "no-store" {
			t.Fatalf("token: status %d, %v", status, answer)
		}
		token = answer
	})
	claims := servertest.Claims(t, token["access_token"])
	for k, want := range map[string]any{"iss": s.Issuer, "aud": servertest.Resource, "client_id": client, "scope": "mcp:read"} {
		if claims[k] != want {
			t.Errorf("claim %s = %v, want %v", k, claims[k], want)
		}
	}
	var events []string
	for _, r := range s.Records(store.RecordQuery{}) {
		events = append(events, r.Event+":"+r.Outcome)
	}
	want := "policy.activated:done admission.decided:admitted person.signed_in:granted admission.decided:reused consent.granted:granted admission.decided:reused token.issued:issued"
	if got := strings.Join(events, " "); !strings.HasPrefix(got, want) {
		t.Errorf("events = %s\nwant        %s …", got, want)
	}
}
