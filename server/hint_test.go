package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// TestG27ReadAgain: a publisher who added a redirect URI learns from the page
// when the stored copy of the document is fetched again; nobody learns it from
// a refusal by policy, and no OAuth error says it.
func TestG27ReadAgain(t *testing.T) {
	t.Parallel()
	const added = "https://client.example.com/new-callback"
	s := start(t, servertest.Options{Policy: policy(`
deny contains {"code": "no", "message": "operators read this"} if "select_account" in input.request.prompt
deny_document contains {"code": "no", "message": "operators read this"} if "create" in input.request.prompt
`)})
	codePage(t, s, s.Browser(), nil)
	s.Docs.Publish(client, map[string]any{"redirect_uris": []string{redirectURI, added}})
	s.Clock.Advance(90 * time.Second)
	ask := func(changes url.Values) servertest.Page { return s.Browser().Authorize(s.Request(client, changes)) }

	p := ask(url.Values{"redirect_uri": {added}})
	wantPage(t, s, p, http.StatusBadRequest, broker.ReasonRedirectMismatch)
	row, found, err := s.Store.Begin().Client(t.Context(), client)
	if err != nil || !found {
		t.Fatalf("client: %v, %v", found, err)
	}
	want := row.FreshUntil.Add(time.Minute - 1).UTC().Truncate(time.Minute)
	said := "after " + want.Format("15:04 UTC on 2 January 2006") + "."
	if got := mark(p, "read-again"); !strings.Contains(got, said) {
		t.Errorf("page says %q, want %q", got, said)
	}
	for name, changes := range map[string]url.Values{
		"policy refuses the URL":      {"prompt": {"select_account"}},
		"policy refuses the document": {"prompt": {"create"}},
	} {
		p := ask(changes)
		if p.Status != http.StatusForbidden || mark(p, "read-again") != "" {
			t.Errorf("%s: status %d, says %q, want 403 and nothing", name, p.Status, mark(p, "read-again"))
		}
	}
	// A client that nobody came with before has no copy to speak of.
	s.Docs.Publish(docHost+"/other", nil)
	p = s.Browser().Authorize(s.Request(docHost+"/other", url.Values{"redirect_uri": {added}}))
	wantPage(t, s, p, http.StatusBadRequest, broker.ReasonRedirectMismatch)
	if got := mark(p, "read-again"); got != "" {
		t.Errorf("a document just fetched: page says %q, want nothing", got)
	}
	// At the time that was told it works.
	s.Clock.Advance(want.Sub(s.Clock.Now()))
	if p := ask(url.Values{"redirect_uri": {added}}); p.Status != http.StatusOK {
		t.Errorf("after the time that was told: status %d\n%s", p.Status, brief(p))
	}
}
