package server_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestAStrangersRequestEndsNobody: whoever asks for the same client in a way
// that no policy names is refused, and the grants of others go on (design §5).
func TestAStrangersRequestEndsNobody(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: policy(`applies if "mcp:read" in input.request.scopes`)})
	p := codePage(t, s, s.Browser(), url.Values{"scope": {"mcp:read"}})
	stranger := s.Browser().Authorize(s.Request(client, url.Values{"scope": {"mcp:write"}}))
	wantPage(t, s, stranger, http.StatusForbidden, broker.ReasonNoPolicyMatched)
	if n := len(s.Records(store.RecordQuery{Event: "client.pruned"})); n != 0 {
		t.Errorf("%d records of pruning, want none", n)
	}
	if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
		t.Errorf("exchange after a stranger's request: status %d, want 200\n%s", got.Status, got.Body)
	}
}

// TestStrangersFaultWearsNothingOut: the host has published another document
// that is fine; a stranger whose own request is faulty does not take the
// stored one out of use.
func TestStrangersFaultWearsNothingOut(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]url.Values{
		"no challenge": {"code_challenge": nil}, "unknown scope": {"scope": {"nothing"}}, "redirect that never was": {"redirect_uri": {"https://evil.example/cb"}},
	} {
		s := servertest.New(t, servertest.Options{})
		s.Docs.Publish(client, nil)
		s.Browser().Authorize(s.Request(client, nil))
		s.Docs.Publish(client, map[string]any{"client_name": "Another name"})
		s.Clock.Advance(2 * time.Hour)
		s.Browser().Authorize(s.Request(client, fault))
		row, found, err := s.Store.Begin().Client(t.Context(), client)
		if err != nil || !found || !row.WithdrawnAt.IsZero() || !row.UsableUntil.After(s.Clock.Now()) {
			t.Errorf("%s: the row is %v, withdrawn %v, usable until %v (%v)", name, found, row.WithdrawnAt, row.UsableUntil, err)
		}
	}
}
