package server_test

import (
	"net/http"
	"net/url"
	"testing"

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
