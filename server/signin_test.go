package server_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// allow is the answer of a person who says yes.
func allow() url.Values { return url.Values{"decision": {"allow"}} }

// isSignIn reports whether p asks a person to sign in.
func isSignIn(p servertest.Page) bool { _, _, ok := p.Form("password"); return ok }

// isConsent reports whether p asks a person for consent.
func isConsent(p servertest.Page) bool { _, _, ok := p.Form("decision"); return ok }

// TestWrongPassword: the form again with 401, the same for a wrong name, a
// wrong password and a disabled person; the waiting request is kept.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	gone := servertest.Account{Username: "carol", Disabled: true}
	s.WritePeople(servertest.Alice(), gone)
	b := s.Browser()
	p := b.Authorize(s.Request(client, nil))
	for _, tt := range []struct{ name, username, password string }{
		{"wrong password", servertest.Person, "wrong horse battery"}, {"no such person", "mallory", servertest.Password},
		{"disabled person", "carol", servertest.Password}, {"no password", servertest.Person, ""}, {"nothing", "", ""},
	} {
		p = b.Submit(p, "password", url.Values{"username": {tt.username}, "password": {tt.password}})
		if p.Status != http.StatusUnauthorized || mark(p, "problem") != "The user name or the password is wrong." || p.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: status %d, problem %q, cookie %q", tt.name, p.Status, mark(p, "problem"), p.Header.Get("Set-Cookie"))
		}
		if strings.Contains(p.Body, "wrong horse") {
			t.Errorf("%s: the page shows the password", tt.name)
		}
		wantRecord(t, s, p, broker.ReasonSignInFailed)
	}
	if p = b.SignIn(p, servertest.Person); !isConsent(p) {
		t.Fatalf("after wrong tries: status %d, want consent for the waiting request\n%s", p.Status, brief(p))
	}
	if p = b.Submit(p, "decision", allow()); p.Param("code") == "" || p.Param("state") != "state-1" {
		t.Errorf("location = %q, want a code", p.Location)
	}
}

// TestSignInThrottled: 429 with Retry-After, and the request is kept.
func TestSignInThrottled(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	p := b.Authorize(s.Request(client, nil))
	for range 11 {
		p = b.Submit(p, "password", url.Values{"username": {servertest.Person}, "password": {"wrong horse battery"}})
	}
	wait, err := strconv.Atoi(p.Header.Get("Retry-After"))
	if p.Status != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 60 {
		t.Fatalf("status %d, Retry-After %q, want 429 and a wait", p.Status, p.Header.Get("Retry-After"))
	}
	wantRecord(t, s, p, broker.ReasonSignInThrottled)
	if right := b.SignIn(p, servertest.Person); right.Status != http.StatusTooManyRequests {
		t.Errorf("the right password while throttled: status %d, want 429", right.Status)
	}
	s.Clock.Advance(time.Duration(wait) * time.Second)
	if p = b.SignIn(p, servertest.Person); !isConsent(p) {
		t.Errorf("after the wait: status %d, want consent", p.Status)
	}
}

// TestSignInWithoutTicket: a person may sign in before anybody asks, and sees
// their account.
func TestSignInWithoutTicket(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	p := b.SignIn(b.Get(s.Issuer+"/signin"), servertest.Person)
	if p.Status != http.StatusOK || p.URL != s.Issuer+"/account" || mark(p, "person") != servertest.Person {
		t.Fatalf("status %d at %s, want the account page\n%s", p.Status, p.URL, brief(p))
	}
	if p = b.Authorize(s.Request(client, nil)); !isConsent(p) {
		t.Errorf("status %d, want consent at once", p.Status)
	}
}

// TestSessionEnds: a session lasts twelve hours and not a nanosecond more.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	b.SignIn(b.Authorize(s.Request(client, nil)), servertest.Person)
	s.Clock.Advance(12*time.Hour - 1)
	if p := b.Authorize(s.Request(client, nil)); !isConsent(p) {
		t.Errorf("before its end: status %d, want consent", p.Status)
	}
	s.Clock.Advance(1)
	if p := b.Authorize(s.Request(client, nil)); !isSignIn(p) {
		t.Errorf("at its end: status %d, want sign-in", p.Status)
	}
}

// TestSignOut ends the session on the server, and the waiting request goes on
// with another person.
func TestSignOut(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	p := b.SignIn(b.Authorize(s.Request(client, nil)), servertest.Person)
	old := b.Cookies()
	if p = b.Submit(p, "", nil); !isSignIn(p) || p.Status != http.StatusOK {
		t.Fatalf("sign-out on the consent page: status %d, want the sign-in page\n%s", p.Status, brief(p))
	}
	stale := send(t, "GET", s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), "", http.Header{"Cookie": {old}})
	if !isSignIn(stale) {
		t.Errorf("the old cookie: status %d, want sign-in", stale.Status)
	}
	out := s.Records(store.RecordQuery{Event: "person.signed_out"})
	if len(out) != 1 || out[0].Subject != s.Keys.Pseudonym(servertest.Person) {
		t.Errorf("records of the sign-out = %+v, want one about the person", out)
	}
	if p = b.SignIn(p, "bob"); mark(p, "person") != "bob" {
		t.Fatalf("status %d, want consent for bob", p.Status)
	}
	if p = b.Submit(p, "decision", allow()); p.Param("code") == "" {
		t.Errorf("location %q, want a code for the kept request", p.Location)
	}
	if g := grantOf(t, s, p.Header.Get("X-Request-Id")); g.Subject != "bob" {
		t.Errorf("grant of %q, want bob", g.Subject)
	}
}

// TestDisabledPerson loses the session at the next question (design §9).
func TestDisabledPerson(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	p := b.SignIn(b.Authorize(s.Request(client, nil)), servertest.Person)
	s.WritePeople(servertest.Account{Username: servertest.Person, Disabled: true}, servertest.Bob())
	if p := b.Authorize(s.Request(client, nil)); !isSignIn(p) {
		t.Errorf("authorize: status %d, want sign-in", p.Status)
	}
	if p = b.Submit(p, "decision", allow()); !isSignIn(p) || p.Location != "" {
		t.Errorf("consent: status %d, location %q, want sign-in", p.Status, p.Location)
	}
}

// TestPromptLogin wants a sign-in younger than the request.
func TestPromptLogin(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	b.SignIn(b.Authorize(s.Request(client, nil)), servertest.Person)
	s.Clock.Advance(time.Second)
	p := b.Authorize(s.Request(client, url.Values{"prompt": {"login"}}))
	if !isSignIn(p) {
		t.Fatalf("status %d, want sign-in", p.Status)
	}
	_, fields, _ := p.Form("password")
	if skip := b.Get(s.Issuer + "/consent?ticket=" + url.QueryEscape(fields.Get("ticket"))); !isSignIn(skip) {
		t.Errorf("the old session past the form: status %d, want sign-in", skip.Status)
	}
	if p = b.SignIn(p, servertest.Person); !isConsent(p) {
		t.Fatalf("status %d, want consent", p.Status)
	}
	if p = b.Submit(p, "decision", allow()); p.Param("code") == "" {
		t.Errorf("location %q, want a code", p.Location)
	}
}

// TestCSRF: a form counts only from this server's own page in this browser.
func TestCSRF(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b, other := s.Browser(), s.Browser()
	signIn := b.Authorize(s.Request(client, nil))
	_, foreign, _ := other.Authorize(s.Request(client, nil)).Form("password")
	consent := b.SignIn(signIn, servertest.Person)
	cookies := b.Cookies()
	_, in, _ := signIn.Form("password")
	in.Set("username", servertest.Person)
	in.Set("password", servertest.Password)
	_, yes, _ := consent.Form("decision")
	yes.Set("decision", "allow")
	out, back := url.Values{"csrf": yes["csrf"]}, url.Values{"csrf": yes["csrf"], "revoke_all": {"all"}}
	for path, good := range map[string]url.Values{"/signin": in, "/consent": yes, "/signout": out, "/account": back} {
		for name, change := range map[string]func(url.Values, http.Header){
			"csrf missing":          func(f url.Values, _ http.Header) { f.Del("csrf") },
			"csrf of other browser": func(f url.Values, _ http.Header) { f["csrf"] = foreign["csrf"] },
			"csrf damaged":          func(f url.Values, _ http.Header) { f.Set("csrf", f.Get("csrf")+"A") },
			"ticket as csrf":        func(f url.Values, _ http.Header) { f["csrf"] = yes["ticket"] },
			"cross-site":            func(_ url.Values, h http.Header) { h.Set("Sec-Fetch-Site", "cross-site") },
			"same-site":             func(_ url.Values, h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				form, h := url.Values{}, formHeader()
				for k, v := range good {
					form[k] = v
				}
				h.Set("Cookie", cookies)
				change(form, h)
				wantPage(t, s, send(t, "POST", s.Issuer+path, form.Encode(), h), http.StatusForbidden, broker.ReasonCSRF)
			})
		}
	}
	bare := send(t, "POST", s.Issuer+"/consent", yes.Encode(), formHeader())
	wantPage(t, s, bare, http.StatusBadRequest, broker.ReasonTicketInvalid) // a cross-site POST brings no cookie (SameSite)
	wantPage(t, s, send(t, "POST", s.Issuer+"/signin", in.Encode(), formHeader()), http.StatusForbidden, broker.ReasonCSRF)
	if p := b.Submit(consent, "decision", allow()); p.Param("code") == "" {
		t.Errorf("the good form afterwards: location %q, want a code", p.Location)
	}
}
