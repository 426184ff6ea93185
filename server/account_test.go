package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// marksOf returns the texts of all elements with that data-guestlist attribute.
func marksOf(t *testing.T, p servertest.Page, name string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool {
			return a.Key == "data-guestlist" && a.Val == name
		}) {
			out = append(out, strings.Join(strings.Fields(text(n)), " "))
		}
	}
	return out
}

// offered lists the grants whose button is on an account page.
func offered(t *testing.T, p servertest.Page) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for n := range root.Descendants() {
		name, value := "", ""
		for _, a := range n.Attr {
			switch {
			case n.Data == "button" && a.Key == "name":
				name = a.Val
			case a.Key == "value":
				value = a.Val
			}
		}
		if name == "revoke" {
			out = append(out, value)
		}
	}
	return out
}

// accountOf opens the account page.
func accountOf(t *testing.T, s *servertest.Server, b *servertest.Browser) servertest.Page {
	t.Helper()
	p := b.Get(s.Issuer + "/account")
	if p.Status != http.StatusOK || mark(p, "person") == "" {
		t.Fatalf("account: status %d\n%s", p.Status, brief(p))
	}
	return p
}

// install plays a flow to the code of an installation on that port, ten
// seconds after whatever was before.
func install(t *testing.T, s *servertest.Server, b *servertest.Browser, port int) (servertest.Page, store.Grant) {
	t.Helper()
	s.Clock.Advance(10 * time.Second)
	p := codePage(t, s, b, url.Values{"redirect_uri": {fmt.Sprintf("http://127.0.0.1:%d/callback", port)}, "scope": {"mcp:read mcp:write"}})
	return p, grantOf(t, s, p.Header.Get("X-Request-Id"))
}

// storedGrant reads a grant again.
func storedGrant(t *testing.T, s *servertest.Server, id string) store.Grant {
	t.Helper()
	g, found, err := s.Store.Begin().Grant(t.Context(), id)
	if err != nil || !found {
		t.Fatalf("grant %s: found=%v err=%v", id, found, err)
	}
	return g
}

// accountStart is a server whose grants live for half an hour.
func accountStart(t *testing.T, o servertest.Options) *servertest.Server {
	t.Helper()
	o.Policy = map[string]string{"clients.rego": strings.Replace(base, "settings := {", "settings := {\n\t\"access_token\": {\"ttl\": \"30m\"},", 1)}
	return start(t, o)
}

// TestG11AccountPage: one row per installation, newest first, with client
// host, redirect host, resource, scopes, first and last use; nothing of
// anybody else (G-28).
func TestG11AccountPage(t *testing.T) {
	t.Parallel()
	s := accountStart(t, servertest.Options{Start: time.Date(2026, 11, 25, 12, 0, 35, 0, time.UTC)})
	b, other := s.Browser(), s.Browser()
	first, one := install(t, s, b, 1001)
	s.Clock.Advance(30 * time.Second)
	exchange := s.Exchange(client, first, url.Values{"redirect_uri": {"http://127.0.0.1:1001/callback"}})
	if got := post(t, s, exchange, nil); got.Status != http.StatusOK {
		t.Fatalf("token: status %d\n%s", got.Status, got.Body)
	}
	_, two := install(t, s, b, 1002)
	p := other.SignIn(other.Authorize(s.Request(client, nil)), "bob")
	p = other.Submit(p, "decision", allow())
	bobs := grantOf(t, s, p.Header.Get("X-Request-Id"))
	p = accountOf(t, s, b)
	if got := offered(t, p); !slices.Equal(got, []string{two.ID, one.ID}) {
		t.Errorf("rows = %q, want %s and %s, newest first", got, two.ID, one.ID)
	}
	for name, want := range map[string][]string{
		"client-host": {"client.example.com", "client.example.com"}, "client-name": {"Example", "Example"},
		"redirect-host": {"127.0.0.1:1002", "127.0.0.1:1001"},
		"resource":      {"Example MCP server " + servertest.Resource, "Example MCP server " + servertest.Resource},
		"scopes":        {"mcp:read mcp:write", "mcp:read mcp:write"},
		"first-use":     {"25 November 2026, 12:01 UTC", "25 November 2026, 12:00 UTC"},
		"last-use":      {"25 November 2026, 12:01 UTC", "25 November 2026, 12:01 UTC"},
		"person":        {servertest.Person}, "more": {},
	} {
		if got := marksOf(t, p, name); !slices.Equal(got, want) {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if strings.Contains(p.Body, bobs.ID) {
		t.Error("another person's grant is on the page")
	}
	if got := offered(t, accountOf(t, s, other)); !slices.Equal(got, []string{bobs.ID}) {
		t.Errorf("the other person's rows = %q, want %s", got, bobs.ID)
	}
	s.Clock.Advance(time.Hour)
	if p = accountOf(t, s, b); mark(p, "none") == "" || len(offered(t, p)) != 0 {
		t.Errorf("after their end: rows %q, want none", offered(t, p))
	}
}

// TestConsentWithdrawn: the row of design §9. The other installation of the
// same client keeps its grant (B33, Q19).
func TestConsentWithdrawn(t *testing.T) {
	t.Parallel()
	s := accountStart(t, servertest.Options{})
	b := s.Browser()
	first, one := install(t, s, b, 1001)
	second, two := install(t, s, b, 1002)
	page := accountOf(t, s, b)
	before := s.Store.Commits()
	p := b.Submit(page, "revoke", url.Values{"revoke": {one.ID}})
	if p.Status != http.StatusOK || p.URL != s.Issuer+"/account" || !slices.Equal(offered(t, p), []string{two.ID}) {
		t.Fatalf("status %d at %s, rows %q, want the account page with the other grant", p.Status, p.URL, offered(t, p))
	}
	if got := s.Store.Commits() - before; got != 1 {
		t.Errorf("%d commits, want 1", got)
	}
	if g := storedGrant(t, s, one.ID); !g.EndedAt.Equal(s.Clock.Now()) || g.EndReason != broker.ReasonConsentWithdrawn {
		t.Errorf("grant ended at %v for %q", g.EndedAt, g.EndReason)
	}
	if g := storedGrant(t, s, two.ID); !g.Live(s.Clock.Now()) {
		t.Errorf("B33: the other installation's grant ended for %q", g.EndReason)
	}
	records := s.Records(store.RecordQuery{Event: "consent.withdrawn"})
	if len(records) != 1 {
		t.Fatalf("%d records of the withdrawal, want 1", len(records))
	}
	r := records[0]
	if r.Outcome != decisionlog.OutcomeDone || r.Reason != string(broker.ReasonConsentWithdrawn) || r.GrantID != one.ID || r.ClientID != client ||
		r.Incarnation != one.Incarnation || r.Subject != s.Keys.Pseudonym(servertest.Person) || r.RequestID == "" || !slices.Equal(r.Policy, one.Policy) {
		t.Errorf("record = %+v", r)
	}
	form := s.Exchange(client, first, url.Values{"redirect_uri": {"http://127.0.0.1:1001/callback"}})
	wantJSON(t, s, post(t, s, form, nil), http.StatusBadRequest, "invalid_grant", broker.ReasonGrantEnded)
	form = s.Exchange(client, second, url.Values{"redirect_uri": {"http://127.0.0.1:1002/callback"}})
	if got := post(t, s, form, nil); got.Status != http.StatusOK {
		t.Errorf("B33: the other installation: status %d\n%s", got.Status, got.Body)
	}
	if p := b.Authorize(s.Request(client, url.Values{"redirect_uri": {"http://127.0.0.1:1001/callback"}})); !isConsent(p) {
		t.Errorf("new authorization: status %d, want to be asked again", p.Status)
	}
	// Once more, as a second click does: nothing is left to do.
	if p = b.Submit(page, "revoke", url.Values{"revoke": {one.ID}}); p.Status != http.StatusOK || p.URL != s.Issuer+"/account" {
		t.Errorf("second click: status %d at %s", p.Status, p.URL)
	}
	if n := len(s.Records(store.RecordQuery{Event: "consent.withdrawn"})); n != 1 {
		t.Errorf("%d records after the second click, want 1", n)
	}
}

// TestRevokeAll ends everything of one person in one commit, and nothing of
// another.
func TestRevokeAll(t *testing.T) {
	t.Parallel()
	s := accountStart(t, servertest.Options{})
	b, other := s.Browser(), s.Browser()
	p := other.SignIn(other.Authorize(s.Request(client, nil)), "bob")
	p = other.Submit(p, "decision", allow())
	bobs := grantOf(t, s, p.Header.Get("X-Request-Id"))
	var ids []string
	for port := range 3 {
		_, g := install(t, s, b, 1001+port)
		ids = append(ids, g.ID)
	}
	before := s.Store.Commits()
	p = b.Submit(accountOf(t, s, b), "revoke_all", url.Values{"revoke_all": {"all"}})
	if p.Status != http.StatusOK || mark(p, "none") == "" || s.Store.Commits()-before != 1 {
		t.Errorf("status %d, %d commits, want an empty page after one commit", p.Status, s.Store.Commits()-before)
	}
	var told []string
	for _, r := range s.Records(store.RecordQuery{Event: "consent.withdrawn"}) {
		told = append(told, r.GrantID)
	}
	slices.Sort(told)
	slices.Sort(ids)
	if !slices.Equal(told, ids) {
		t.Errorf("records tell of %q, want %q", told, ids)
	}
	for _, id := range ids {
		if g := storedGrant(t, s, id); g.EndReason != broker.ReasonConsentWithdrawn {
			t.Errorf("grant %s ended for %q", id, g.EndReason)
		}
	}
	if g := storedGrant(t, s, bobs.ID); !g.Live(s.Clock.Now()) {
		t.Errorf("another person's grant ended for %q", g.EndReason)
	}
}

// TestRevokeStrangers: what is not this person's looks like nothing, whatever
// it is, and nothing happens to it.
func TestRevokeStrangers(t *testing.T) {
	t.Parallel()
	s := accountStart(t, servertest.Options{})
	b, other := s.Browser(), s.Browser()
	install(t, s, b, 1001)
	p := other.SignIn(other.Authorize(s.Request(client, nil)), "bob")
	p = other.Submit(p, "decision", allow())
	bobs := grantOf(t, s, p.Header.Get("X-Request-Id"))
	page := accountOf(t, s, b)
	var bodies []string
	for name, id := range map[string]string{
		"another person's": bobs.ID, "unknown": strings.Repeat("0", 32), "long": strings.Repeat("x", 8000), "markup": "<b>\n\u202e", "upper case": strings.ToUpper(bobs.ID) + "Z",
	} {
		before := s.Store.Commits()
		p := b.Submit(page, "revoke", url.Values{"revoke": {id}})
		if got := s.Store.Commits() - before; got != 0 {
			t.Errorf("%s: %d commits, want none", name, got)
		}
		wantPage(t, s, p, http.StatusNotFound, broker.ReasonRequestInvalid)
		bodies = append(bodies, strings.ReplaceAll(p.Body, p.Header.Get("X-Request-Id"), "ID"))
	}
	for i, body := range bodies[1:] {
		if body != bodies[0] {
			t.Errorf("page %d tells strangers apart:\n%s\n%s", i+1, bodies[0], body)
		}
	}
	for name, form := range map[string]url.Values{"neither": {}, "both": {"revoke": {bobs.ID}, "revoke_all": {"all"}}} {
		t.Run(name, func(t *testing.T) {
			wantPage(t, s, b.Submit(page, "revoke", form), http.StatusBadRequest, broker.ReasonRequestInvalid)
		})
	}
	if g := storedGrant(t, s, bobs.ID); !g.Live(s.Clock.Now()) {
		t.Errorf("the other person's grant ended for %q", g.EndReason)
	}
	if got := offered(t, accountOf(t, s, b)); len(got) != 1 {
		t.Errorf("rows = %q, want the person's own", got)
	}
}

// TestAccountSignIn: nobody sees an account without signing in, and signing
// out leaves no way back.
func TestAccountSignIn(t *testing.T) {
	t.Parallel()
	s := accountStart(t, servertest.Options{})
	b := s.Browser()
	_, g := install(t, s, b, 1001)
	page := accountOf(t, s, b)
	fresh := s.Browser()
	p := fresh.Get(s.Issuer + "/account")
	if _, f, ok := p.Form("password"); !ok || f.Has("ticket") || strings.Contains(p.Body, g.ID) {
		t.Fatalf("signed out: status %d, want the sign-in page without a ticket\n%s", p.Status, brief(p))
	}
	if p = fresh.SignIn(p, "bob"); p.URL != s.Issuer+"/account" || mark(p, "person") != "bob" || mark(p, "none") == "" {
		t.Errorf("after sign-in: at %s as %q, want the account of bob\n%s", p.URL, mark(p, "person"), brief(p))
	}
	// A session that ended while the page was open.
	_, fields, _ := page.Form("revoke")
	if p = b.Post(s.Issuer+"/signout", url.Values{"csrf": fields["csrf"]}); mark(p, "person") != "" || !strings.Contains(p.Body, "signed out") {
		t.Fatalf("sign-out: status %d\n%s", p.Status, brief(p))
	}
	for _, button := range []url.Values{{"revoke": {g.ID}}, {"revoke_all": {"all"}}} {
		if p = b.Submit(page, "revoke", button); !isSignIn(p) {
			t.Errorf("%v signed out: status %d, want the sign-in page", button, p.Status)
		}
	}
	if g := storedGrant(t, s, g.ID); !g.Live(s.Clock.Now()) {
		t.Errorf("the grant ended for %q with nobody signed in", g.EndReason)
	}
}

// TestManyGrants: the page shows 200 rows and says that there are more; all
// end together.
func TestManyGrants(t *testing.T) {
	t.Parallel()
	s := accountStart(t, servertest.Options{})
	b := s.Browser()
	_, g := install(t, s, b, 1001)
	add := func(n int, at time.Time) {
		t.Helper()
		u := s.Store.Begin()
		for i := range n {
			more := g
			more.ID, more.CreatedAt = fmt.Sprintf("grant-%d-%d", at.Unix(), i), at
			u.PutGrant(more)
		}
		if err := s.Store.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	add(199, g.CreatedAt.Add(time.Second))
	p := accountOf(t, s, b)
	if got := offered(t, p); len(got) != 200 || got[199] != g.ID || mark(p, "more") != "" {
		t.Errorf("200 grants: %d rows, %q", len(got), mark(p, "more"))
	}
	add(1, g.CreatedAt.Add(2*time.Second))
	p = accountOf(t, s, b)
	if got := offered(t, p); len(got) != 200 || slices.Contains(got, g.ID) || !strings.Contains(mark(p, "more"), "newest 200") {
		t.Errorf("201 grants: %d rows, the oldest shown %v, %q", len(got), slices.Contains(got, g.ID), mark(p, "more"))
	}
	if p = b.Submit(p, "revoke_all", url.Values{"revoke_all": {"all"}}); mark(p, "none") == "" {
		t.Errorf("rows left: %q", offered(t, p))
	}
	if n := len(s.Records(store.RecordQuery{Event: "consent.withdrawn"})); n != 201 {
		t.Errorf("%d records, want 201", n)
	}
}

// TestRevokeTogether: a grant is withdrawn once, however many buttons are
// pressed at the same time.
func TestRevokeTogether(t *testing.T) {
	t.Parallel()
	s := accountStart(t, servertest.Options{})
	b := s.Browser()
	_, g := install(t, s, b, 1001)
	page := accountOf(t, s, b)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			button := url.Values{"revoke": {g.ID}}
			if i%2 == 1 {
				button = url.Values{"revoke_all": {"all"}}
			}
			if p := b.Submit(page, "revoke", button); p.Status != http.StatusOK {
				t.Errorf("status %d\n%s", p.Status, brief(p))
			}
		})
	}
	wg.Wait()
	if n := len(s.Records(store.RecordQuery{Event: "consent.withdrawn"})); n != 1 {
		t.Errorf("%d records, want 1", n)
	}
}

// TestAccountStoreFails: no withdrawal without its commit.
func TestAccountStoreFails(t *testing.T) {
	t.Parallel()
	s, f := failing(t)
	b := s.Browser()
	_, g := install(t, s, b, 1001)
	page := accountOf(t, s, b)
	f.set(true)
	p := b.Submit(page, "revoke", url.Values{"revoke": {g.ID}})
	f.set(false)
	wantPage(t, s, p, http.StatusServiceUnavailable, broker.ReasonStoreUnavailable)
	if g := storedGrant(t, s, g.ID); !g.EndedAt.IsZero() || len(s.Records(store.RecordQuery{Event: "consent.withdrawn"})) != 0 {
		t.Errorf("ended at %v for %q", g.EndedAt, g.EndReason)
	}
	if p = b.Submit(page, "revoke", url.Values{"revoke": {g.ID}}); mark(p, "none") == "" {
		t.Errorf("with the store back: status %d\n%s", p.Status, brief(p))
	}
}
