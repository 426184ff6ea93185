package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"guestlist/broker"
	"guestlist/policies"
	"guestlist/server/servertest"
	"guestlist/store"
)

// webClient redirects to its own origin.
const (
	webClient   = docHost + "/web"
	webRedirect = docHost + "/callback"
)

// consentPolicy is base for the web client by its exact URL, with that
// consent.
func consentPolicy(consent string) map[string]string {
	p := strings.Replace(base, "https://client.example.com/**", webClient, 1)
	return map[string]string{"clients.rego": strings.Replace(p, "settings := {", "settings := {\n\t\"consent\": "+consent+",\n\t\"access_token\": {\"ttl\": \"30m\"},\n\t\"token_endpoint_auth_methods\": [\"none\"],", 1)}
}

// webStart is a server with the web client under that consent.
func webStart(t *testing.T, consent string) *servertest.Server {
	t.Helper()
	s := start(t, servertest.Options{Policy: consentPolicy(consent)})
	publishWeb(s, nil)
	return s
}

// publishWeb publishes the web client's document with changes.
func publishWeb(s *servertest.Server, changes map[string]any) {
	m := map[string]any{"redirect_uris": []string{webRedirect, docHost + "/other", "http://127.0.0.1/callback"}}
	for k, v := range changes {
		m[k] = v
	}
	s.Docs.Publish(webClient, m)
}

// webRequest is an authorization request of the web client.
func webRequest(s *servertest.Server, changes url.Values) string {
	q := s.Request(webClient, url.Values{"redirect_uri": {webRedirect}, "scope": {"mcp:read mcp:write"}})
	for k, v := range changes {
		q[k] = v
	}
	return s.Issuer + "/authorize?" + q.Encode()
}

// wantClick checks a page that gives nothing away without a click: B1,
// GHSA-6x8h-498w-gv8c.
func wantClick(t *testing.T, s *servertest.Server, p servertest.Page) {
	t.Helper()
	if p.Status != http.StatusOK || p.Location != "" || p.Header.Get("Refresh") != "" {
		t.Fatalf("status %d, location %q, refresh %q, want a page\n%s", p.Status, p.Location, p.Header.Get("Refresh"), brief(p))
	}
	for _, bad := range []string{"http-equiv", "<script", "onload", webRedirect + "?"} {
		if strings.Contains(p.Body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if n := strings.Count(p.Body, `name="decision"`); n != 2 || !strings.Contains(p.Body, `value="allow"`) || !strings.Contains(p.Body, `value="deny"`) {
		t.Errorf("%d decision buttons, want allow and deny", n)
	}
	if mark(p, "client-host") != "client.example.com" || mark(p, "redirect-host") == "" {
		t.Errorf("hosts on the page: client %q, redirect %q", mark(p, "client-host"), mark(p, "redirect-host"))
	}
	for _, r := range s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id")}) {
		if r.GrantID != "" || r.Event == "consent.granted" {
			t.Errorf("the page made a grant: %s", r.Event)
		}
	}
}

// isShort reports whether a consent page is the shortened one.
func isShort(p servertest.Page) bool {
	return mark(p, "remembered") != "" && mark(p, "scope-list") != "" && strings.Contains(p.Body, "<details")
}

// agree signs in where asked, allows, and returns the grant.
func agree(t *testing.T, s *servertest.Server, b *servertest.Browser, p servertest.Page, form url.Values) store.Grant {
	t.Helper()
	if isSignIn(p) {
		p = b.SignIn(p, servertest.Person)
	}
	if form == nil {
		form = allow()
	}
	p = b.Submit(p, "decision", form)
	if p.Param("code") == "" {
		t.Fatalf("no code: status %d, location %q\n%s", p.Status, p.Location, brief(p))
	}
	return grantOf(t, s, p.Header.Get("X-Request-Id"))
}

// TestB1SecondAuthorizeAsks: whatever consent.mode says, a second request for
// the same person and client that comes from another site shows a page with a
// click, and makes no grant before it (Q18, H-09).
func TestB1SecondAuthorizeAsks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		consent string
		short   bool
	}{
		{`{"mode": "always"}`, false},
		{`{"mode": "always", "max_age": "30d"}`, false},
		{`{"mode": "once"}`, false},
		{`{"mode": "once", "max_age": "0s"}`, false},
		{`{"mode": "once", "max_age": "30d"}`, true},
		{`{"mode": "skip"}`, false},
		{`{"mode": "skip", "max_age": "30d"}`, false},
	} {
		t.Run(tt.consent, func(t *testing.T) {
			t.Parallel()
			s := webStart(t, tt.consent)
			b := s.Browser()
			first := b.SignIn(b.Follow(webRequest(s, nil)), servertest.Person)
			wantClick(t, s, first)
			if isShort(first) {
				t.Error("the first page is short")
			}
			agree(t, s, b, first, nil)
			for range 3 {
				s.Clock.Advance(time.Second)
				p := b.Follow(webRequest(s, nil))
				wantClick(t, s, p)
				if isShort(p) != tt.short {
					t.Errorf("short = %v, want %v\n%s", isShort(p), tt.short, brief(p))
				}
				agree(t, s, b, p, nil)
			}
			if n := len(s.Records(store.RecordQuery{Event: "consent.granted"})); n != 4 {
				t.Errorf("%d grants after four clicks", n)
			}
		})
	}
}

// skipping is a policy engine that says skip to everything.
type skipping struct{ broker.Policy }

// Decide implements broker.Policy.
func (p skipping) Decide(ctx context.Context, q broker.Query) broker.Decision {
	d := p.Policy.Decide(ctx, q)
	d.Settings.Consent = broker.ConsentSettings{Mode: "skip", MaxAge: broker.Duration(time.Hour)}
	return d
}

// TestQ18SkipNeedsAKey: a decision that says skip does not remove the page for
// a client without a key, not even for an exact URL on its own https origin.
func TestQ18SkipNeedsAKey(t *testing.T) {
	t.Parallel()
	s := webStart(t, `{"mode": "skip"}`)
	dir := fstest.MapFS{"clients.rego": {Data: []byte(consentPolicy(`{"mode": "skip"}`)["clients.rego"])}}
	set, _, err := policies.Load(t.Context(), policies.Config{FS: dir})
	if err != nil {
		t.Fatal(err)
	}
	u := s.Store.Begin()
	if err := s.Broker.Activate(t.Context(), skipping{set}, "test", "", u, func(ctx context.Context) error { return s.Store.Commit(ctx, u) }); err != nil {
		t.Fatal(err)
	}
	b := s.Browser()
	for _, redirect := range []string{webRedirect, docHost + "/other", "http://127.0.0.1:4711/callback"} {
		for range 2 {
			s.Clock.Advance(time.Second)
			p := b.Follow(webRequest(s, url.Values{"redirect_uri": {redirect}}))
			if isSignIn(p) {
				p = b.SignIn(p, servertest.Person)
			}
			wantClick(t, s, p)
			if isShort(p) {
				t.Errorf("%s: the page is short", redirect)
			}
			if g := agree(t, s, b, p, nil); !strings.Contains(string(g.Settings), `"mode":"skip"`) {
				t.Fatalf("the decision did not say skip: %s", g.Settings)
			}
		}
	}
}

// TestConsentOnce: the page is short only for what this person allowed
// before: same client, exact redirect URI, resource, scopes and security
// digest, within max_age, and not taken back since.
func TestConsentOnce(t *testing.T) {
	t.Parallel()
	end := func(reason broker.Reason) func(*testing.T, *servertest.Server, *servertest.Browser, store.Grant) {
		return func(t *testing.T, s *servertest.Server, _ *servertest.Browser, g store.Grant) {
			u := s.Store.Begin()
			u.EndGrant(g.ID, s.Clock.Now(), reason)
			if err := s.Store.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
	}
	document := func(changes map[string]any) func(*testing.T, *servertest.Server, *servertest.Browser, store.Grant) {
		return func(_ *testing.T, s *servertest.Server, _ *servertest.Browser, _ store.Grant) {
			publishWeb(s, changes)
			s.Clock.Advance(2 * time.Hour) // past the document's freshness
		}
	}
	wait := func(d time.Duration) func(*testing.T, *servertest.Server, *servertest.Browser, store.Grant) {
		return func(_ *testing.T, s *servertest.Server, _ *servertest.Browser, _ store.Grant) { s.Clock.Advance(d) }
	}
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name   string
		given  url.Values // answer to the first page; nil: allow all
		then   func(*testing.T, *servertest.Server, *servertest.Browser, store.Grant)
		asked  url.Values // changes of the second request
		person string
		short  bool
	}{
		{name: "the same", short: true},
		{name: "fewer scopes", asked: url.Values{"scope": {"mcp:read"}}, short: true},
		{name: "grant expired", then: wait(time.Hour), short: true},
		{name: "just within max_age", then: wait(2*day - 1), short: true},
		{name: "at max_age", then: wait(2 * day)},
		{name: "more scopes than were allowed", given: url.Values{"decision": {"allow"}, "scope": {"mcp:read"}}},
		{name: "exact redirect URI", asked: url.Values{"redirect_uri": {docHost + "/other"}}},
		{name: "loopback port", asked: url.Values{"redirect_uri": {"http://127.0.0.1:4711/callback"}}},
		{name: "another person", person: "bob"},
		{name: "prompt=consent", asked: url.Values{"prompt": {"consent"}}},
		{name: "document looks new", then: document(map[string]any{"client_name": "New name"}), short: true},
		{name: "document with a redirect URI more", then: document(map[string]any{"redirect_uris": []string{webRedirect, docHost + "/more"}})},
		{name: "document with a grant type more", then: document(map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}})},
		{name: "document with a method more", then: document(map[string]any{"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "jwks_uri": docHost + "/jwks"})},
		{name: "withdrawn", then: end(broker.ReasonConsentWithdrawn)},
		{name: "withdrawn after the clock was set back", then: func(t *testing.T, s *servertest.Server, b *servertest.Browser, g store.Grant) {
			s.Clock.Advance(-time.Minute)
			end(broker.ReasonConsentWithdrawn)(t, s, b, g)
		}},
		{name: "code replayed", then: end(broker.ReasonGrantSpent)},
		{name: "refresh token reused", then: end(broker.ReasonRefreshReused)},
		{name: "ended by policy", then: end(broker.ReasonGrantEndedByPolicy)},
		{name: "client pruned", then: end(broker.ReasonNoPolicyMatched)},
		{name: "a reason not known here", then: end("reason_of_tomorrow")},
		{name: "client's life ran out", then: end(broker.ReasonClientEnded), short: true},
		{name: "client gave its token back", then: end(broker.ReasonTokenRevoked), short: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := webStart(t, `{"mode": "once", "max_age": "2d"}`)
			b := s.Browser()
			g := agree(t, s, b, b.Get(webRequest(s, nil)), tt.given)
			if len(g.SecurityDigest) != 64 {
				t.Errorf("grant's security digest = %q", g.SecurityDigest)
			}
			if tt.then != nil {
				tt.then(t, s, b, g)
			}
			if tt.person != "" {
				b = s.Browser()
			}
			p := b.Follow(webRequest(s, tt.asked))
			if isSignIn(p) {
				p = b.SignIn(p, map[bool]string{true: servertest.Person, false: tt.person}[tt.person == ""])
			}
			wantClick(t, s, p)
			if isShort(p) != tt.short {
				t.Errorf("short = %v, want %v\n%s", isShort(p), tt.short, brief(p))
			}
			if !tt.short {
				return
			}
			if got := mark(p, "remembered"); !strings.HasPrefix(got, "You allowed this before, on 25 November 2026.") {
				t.Errorf("remembered = %q", got)
			}
			again := agree(t, s, b, p, nil)
			rec := s.Records(store.RecordQuery{GrantID: again.ID, Event: "consent.granted"})
			if len(rec) != 1 || rec[0].Detail != "asked on the shortened page: allowed before at 2026-11-25T12:00:00Z" {
				t.Errorf("records = %+v, want one that names the consent before", rec)
			}
		})
	}
}

// TestOnceResources: another resource is another consent, and so are two
// where there was one.
func TestOnceResources(t *testing.T) {
	t.Parallel()
	second := "https://files.example.com"
	s := start(t, servertest.Options{Policy: consentPolicy(`{"mode": "once", "max_age": "2d"}`), Resources: []broker.Resource{
		{ID: servertest.Resource, Name: "One", Scopes: []string{"mcp:read", "mcp:write"}, TokenFormat: "jwt"},
		{ID: second, Name: "Two", Scopes: []string{"mcp:read", "mcp:write"}, TokenFormat: "jwt"},
	}})
	publishWeb(s, nil)
	b := s.Browser()
	agree(t, s, b, b.Get(webRequest(s, nil)), nil)
	for _, tt := range []struct {
		resources []string
		short     bool
	}{
		{[]string{servertest.Resource}, true}, {[]string{second}, false}, {[]string{servertest.Resource, second}, false},
	} {
		p := b.Follow(webRequest(s, url.Values{"resource": tt.resources}))
		wantClick(t, s, p)
		if isShort(p) != tt.short {
			t.Errorf("%q: short = %v, want %v", tt.resources, isShort(p), tt.short)
		}
	}
	agree(t, s, b, b.Get(webRequest(s, url.Values{"resource": {servertest.Resource, second}})), nil)
	if p := b.Follow(webRequest(s, url.Values{"resource": {second}})); isShort(p) {
		t.Error("one of the two resources that were allowed together is remembered")
	}
	if p := b.Follow(webRequest(s, url.Values{"resource": {second, servertest.Resource}})); !isShort(p) {
		t.Error("the order of resources matters")
	}
}

// TestWithdrawnIsForgotten: after a withdrawal on the account page the full
// page is back, also where an older grant for the same would fit; a new
// consent is remembered again.
func TestWithdrawnIsForgotten(t *testing.T) {
	t.Parallel()
	s := webStart(t, `{"mode": "once", "max_age": "2d"}`)
	b := s.Browser()
	old := agree(t, s, b, b.Get(webRequest(s, nil)), nil)
	s.Clock.Advance(time.Hour) // the older one expires
	g := agree(t, s, b, b.Get(webRequest(s, nil)), nil)
	s.Clock.Advance(time.Second)
	page := accountOf(t, s, b)
	if got := offered(t, page); !slices.Equal(got, []string{g.ID}) {
		t.Fatalf("rows = %q, want the one that lives", got)
	}
	b.Submit(page, "revoke", url.Values{"revoke": {g.ID}})
	p := b.Follow(webRequest(s, nil))
	wantClick(t, s, p)
	if isShort(p) {
		t.Error("the page is short after the withdrawal")
	}
	s.Clock.Advance(time.Second)
	agree(t, s, b, p, nil)
	if p = b.Follow(webRequest(s, nil)); !isShort(p) {
		t.Error("a new consent is not remembered")
	}
	// One that only expired can be withdrawn from a page that shows it still.
	s.Clock.Advance(time.Second)
	if p = b.Submit(page, "revoke", url.Values{"revoke": {old.ID}}); p.URL != s.Issuer+"/account" {
		t.Errorf("expired grant: status %d at %s", p.Status, p.URL)
	}
	if got := storedGrant(t, s, old.ID); got.EndReason != broker.ReasonConsentWithdrawn {
		t.Errorf("expired grant ended for %q", got.EndReason)
	}
	if p = b.Follow(webRequest(s, nil)); isShort(p) {
		t.Error("the page is short after the second withdrawal")
	}
}

// TestOnceLoopback: the warning about loopback stays on the shortened page
// (M28).
func TestOnceLoopback(t *testing.T) {
	t.Parallel()
	s := webStart(t, `{"mode": "once", "max_age": "2d"}`)
	b := s.Browser()
	request := webRequest(s, url.Values{"redirect_uri": {"http://127.0.0.1:33418/callback"}})
	agree(t, s, b, b.Get(request), nil)
	p := b.Follow(request)
	wantClick(t, s, p)
	if !isShort(p) || mark(p, "loopback-warning") == "" || mark(p, "redirect-host") != "127.0.0.1:33418" {
		t.Errorf("short %v, warning %q, redirect host %q", isShort(p), mark(p, "loopback-warning"), mark(p, "redirect-host"))
	}
}

// TestOnceManyGrants: who has more grants of a client than are looked through
// sees the full page.
func TestOnceManyGrants(t *testing.T) {
	t.Parallel()
	s := webStart(t, `{"mode": "once", "max_age": "2d"}`)
	b := s.Browser()
	g := agree(t, s, b, b.Get(webRequest(s, nil)), nil)
	for _, tt := range []struct {
		more  int
		short bool
	}{{998, true}, {1, false}} {
		u := s.Store.Begin()
		for i := range tt.more {
			more := g
			more.ID = fmt.Sprintf("grant-%d-%d", tt.more, i)
			u.PutGrant(more)
		}
		if err := s.Store.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		p := b.Follow(webRequest(s, nil))
		wantClick(t, s, p)
		if isShort(p) != tt.short {
			t.Errorf("%d more: short = %v, want %v", tt.more, isShort(p), tt.short)
		}
	}
}

// TestOnceScopeUnfolded: on the shortened page a person can still allow less.
func TestOnceScopeUnfolded(t *testing.T) {
	t.Parallel()
	s := webStart(t, `{"mode": "once", "max_age": "2d"}`)
	b := s.Browser()
	agree(t, s, b, b.Get(webRequest(s, nil)), nil)
	p := b.Get(webRequest(s, nil))
	if _, f, _ := p.Form("decision"); !slices.Equal(f["scope"], []string{"mcp:read", "mcp:write"}) {
		t.Errorf("boxes = %q", f["scope"])
	}
	if g := agree(t, s, b, p, url.Values{"decision": {"allow"}, "scope": {"mcp:read"}}); !slices.Equal(g.Scopes, []string{"mcp:read"}) {
		t.Errorf("granted = %q, want what was ticked", g.Scopes)
	}
}
