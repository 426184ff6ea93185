package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// atConsent plays a flow up to the consent page.
func atConsent(t *testing.T, s *servertest.Server, b *servertest.Browser, changes url.Values) servertest.Page {
	t.Helper()
	p := b.Authorize(s.Request(client, changes))
	if isSignIn(p) {
		p = b.SignIn(p, servertest.Person)
	}
	if !isConsent(p) {
		t.Fatalf("status %d, location %q, want the consent page\n%s", p.Status, p.Location, brief(p))
	}
	return p
}

// ticketOf is the waiting request on a page.
func ticketOf(t *testing.T, p servertest.Page) string {
	t.Helper()
	for _, element := range []string{"password", "decision"} {
		if _, f, ok := p.Form(element); ok {
			return f.Get("ticket")
		}
	}
	t.Fatalf("no ticket on %s", p.URL)
	return ""
}

// TestTicketOfOtherBrowser: a ticket is worth nothing without the cookie it
// was sealed for, or with a byte changed.
func TestTicketOfOtherBrowser(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b, thief := s.Browser(), s.Browser()
	ticket := ticketOf(t, atConsent(t, s, b, nil))
	thief.SignIn(thief.Get(s.Issuer+"/signin"), "bob")
	open := func(b *servertest.Browser, ticket string) servertest.Page {
		return b.Get(s.Issuer + "/consent?ticket=" + url.QueryEscape(ticket))
	}
	wantPage(t, s, open(thief, ticket), http.StatusBadRequest, broker.ReasonTicketInvalid)
	middle := len(ticket) / 2
	for name, v := range map[string]string{
		"none": "", "cut": ticket[:len(ticket)-1], "longer": ticket + "A", "too long": ticket + strings.Repeat("A", 6<<10),
		"one character changed": ticket[:middle] + string(ticket[middle]^1) + ticket[middle+1:], "not base64": "%%%",
	} {
		t.Run(name, func(t *testing.T) {
			wantPage(t, s, open(b, v), http.StatusBadRequest, broker.ReasonTicketInvalid)
		})
	}
	if p := open(b, ticket); !isConsent(p) {
		t.Errorf("the owner: status %d, want consent", p.Status)
	}
}

// TestTicketExpires at ten minutes exactly, wherever it is on its way.
func TestTicketExpires(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	in := s.Browser()
	signIn := in.Authorize(s.Request(client, nil))
	p := atConsent(t, s, b, nil)
	s.Clock.Advance(10*time.Minute - 1)
	if p = b.Get(s.Issuer + "/consent?ticket=" + url.QueryEscape(ticketOf(t, p))); !isConsent(p) {
		t.Fatalf("before the end: status %d, want consent", p.Status)
	}
	s.Clock.Advance(1)
	wantPage(t, s, b.Submit(p, "decision", allow()), http.StatusBadRequest, broker.ReasonTicketInvalid)
	wantPage(t, s, in.SignIn(signIn, servertest.Person), http.StatusBadRequest, broker.ReasonTicketInvalid)
}

// TestTicketReplay: an answered request is answered; never a second code.
func TestTicketReplay(t *testing.T) {
	t.Parallel()
	for _, decision := range []string{"allow", "deny"} {
		t.Run("after "+decision, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{})
			b := s.Browser()
			signIn := b.Authorize(s.Request(client, nil))
			p := b.SignIn(signIn, servertest.Person)
			if first := b.Submit(p, "decision", url.Values{"decision": {decision}}); first.Status != http.StatusSeeOther {
				t.Fatalf("first answer: status %d", first.Status)
			}
			for _, again := range []string{"allow", "deny"} {
				wantPage(t, s, b.Submit(p, "decision", url.Values{"decision": {again}}), http.StatusConflict, broker.ReasonTicketSpent)
			}
			wantPage(t, s, b.Get(s.Issuer+"/consent?ticket="+url.QueryEscape(ticketOf(t, p))), http.StatusConflict, broker.ReasonTicketSpent)
			wantPage(t, s, b.SignIn(signIn, servertest.Person), http.StatusConflict, broker.ReasonTicketSpent)
			if n := len(s.Records(store.RecordQuery{Event: "consent.granted"})); n != map[string]int{"allow": 1, "deny": 0}[decision] {
				t.Errorf("%d grants", n)
			}
		})
	}
}

// TestTicketUnderNewPolicy: what changed between the steps decides (design §9).
func TestTicketUnderNewPolicy(t *testing.T) {
	t.Parallel()
	t.Run("deny added", func(t *testing.T) {
		t.Parallel()
		s := start(t, servertest.Options{})
		b := s.Browser()
		p := atConsent(t, s, b, nil)
		activate(t, s, policy(`deny contains {"code": "no", "message": "not any more"} if input.client.host == "client.example.com"`))
		wantRedirect(t, s, b.Submit(p, "decision", allow()), "access_denied", broker.ReasonPolicyDenied)
	})
	t.Run("policy removed", func(t *testing.T) {
		t.Parallel()
		s := start(t, servertest.Options{})
		b := s.Browser()
		p := atConsent(t, s, b, nil)
		activate(t, s, map[string]string{"defaults.rego": "package admission.defaults\n"})
		p = b.Submit(p, "decision", allow())
		wantRedirect(t, s, p, "access_denied", broker.ReasonNoPolicyMatched)
		wantNobody(t, s)
		if n := len(s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id"), Event: "client.pruned"})); n != 1 {
			t.Errorf("%d records of the pruning, want one in the same request", n)
		}
	})
	t.Run("policy removed before sign-in", func(t *testing.T) {
		t.Parallel()
		s := start(t, servertest.Options{})
		b := s.Browser()
		p := b.Authorize(s.Request(client, nil))
		activate(t, s, map[string]string{"defaults.rego": "package admission.defaults\n"})
		wantRedirect(t, s, b.SignIn(p, servertest.Person), "access_denied", broker.ReasonNoPolicyMatched)
		wantNobody(t, s)
	})
	t.Run("scope narrowed", func(t *testing.T) {
		t.Parallel()
		s := start(t, servertest.Options{})
		b := s.Browser()
		p := atConsent(t, s, b, url.Values{"scope": {"mcp:read mcp:write"}})
		files := policy()
		files["clients.rego"] = strings.Replace(base, `["mcp:read", "mcp:write"]`, `["mcp:read"]`, 1)
		activate(t, s, files)
		p = b.Submit(p, "decision", allow())
		if a := answerOf(t, post(t, s, s.Exchange(client, p, nil), nil)); a["scope"] != "mcp:read" {
			t.Errorf("scope = %v, want mcp:read: %v", a["scope"], a)
		}
	})
}

// TestG10DocumentChangedBetween: a consent is for the document that was shown.
func TestG10DocumentChangedBetween(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	doc := func(name string) servertest.Answer {
		return servertest.Answer{Header: map[string]string{"Cache-Control": "max-age=60"}, Body: `{"client_id":"` + client + `","client_name":"` + name +
			`","redirect_uris":["http://127.0.0.1/callback"],"token_endpoint_auth_method":"none"}`}
	}
	s.Docs.Set(client, doc("One"))
	b := s.Browser()
	p := atConsent(t, s, b, nil)
	s.Docs.Set(client, doc("Two"))
	s.Clock.Advance(61 * time.Second)
	if other := s.Browser().Authorize(s.Request(client, nil)); !isSignIn(other) || s.Docs.Hits(client) != 2 {
		t.Fatalf("refetch: status %d, %d fetches", other.Status, s.Docs.Hits(client))
	}
	wantPage(t, s, b.Submit(p, "decision", allow()), http.StatusBadRequest, broker.ReasonDocumentChanged)
}

// TestClientEndedBetween: a ticket does not outlive its client, also when the
// client was admitted anew.
func TestClientEndedBetween(t *testing.T) {
	t.Parallel()
	for _, anew := range []bool{false, true} {
		s := start(t, servertest.Options{})
		b := s.Browser()
		p := atConsent(t, s, b, nil)
		endClient(t, s)
		if anew {
			s.Browser().Authorize(s.Request(client, nil))
		}
		wantPage(t, s, b.Submit(p, "decision", allow()), http.StatusBadRequest, broker.ReasonClientEnded)
	}
}

// endClient ends the client as an operator would.
func endClient(t *testing.T, s *servertest.Server) {
	t.Helper()
	u := s.Store.Begin()
	row, found, err := u.Client(t.Context(), client)
	if err != nil || !found {
		t.Fatalf("client: found=%v err=%v", found, err)
	}
	u.EndClient(client, row.Incarnation, s.Clock.Now(), broker.ReasonClientEnded)
	if err := s.Store.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}

// TestTicketTooLarge: what does not fit is refused before it leaves a row
// (design §5).
func TestTicketTooLarge(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := s.Browser().Authorize(s.Request(client, url.Values{"state": {strings.Repeat("s", 7000)}}))
	if p.Param("error") != "invalid_request" || len(p.Param("state")) != 7000 {
		t.Errorf("status %d, location of %d bytes, want invalid_request with the state", p.Status, len(p.Location))
	}
	wantRecord(t, s, p, broker.ReasonRequestInvalid)
	wantNobody(t, s)
	// The longest that is taken goes all the way.
	for n := 4000; n > 0; n -= 100 {
		b := s.Browser()
		p := b.Authorize(s.Request(client, url.Values{"state": {strings.Repeat("s", n)}}))
		if p.Param("error") != "" {
			continue
		}
		if p = b.Submit(b.SignIn(p, servertest.Person), "decision", allow()); p.Param("code") == "" || n < 2000 {
			t.Errorf("state of %d bytes: status %d, location of %d bytes\n%s", n, p.Status, len(p.Location), brief(p))
		}
		break
	}
}

// TestG10WithdrawnBetween: another start of a flow met a document from which
// the redirect URI is gone, and was refused. The row still holds what was
// shown, but the waiting request may not become a code for it.
func TestG10WithdrawnBetween(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	doc := func(redirect string) servertest.Answer {
		return servertest.Answer{Header: map[string]string{"Cache-Control": "max-age=60"}, Body: `{"client_id":"` + client +
			`","client_name":"Example","redirect_uris":["` + redirect + `"],"token_endpoint_auth_method":"none"}`}
	}
	s.Docs.Set(client, doc("http://127.0.0.1/callback"))
	b := s.Browser()
	p := atConsent(t, s, b, nil)
	s.Docs.Set(client, doc("https://client.example.com/callback"))
	s.Clock.Advance(61 * time.Second)
	wantPage(t, s, s.Browser().Authorize(s.Request(client, nil)), http.StatusBadRequest, broker.ReasonRedirectMismatch)
	wantPage(t, s, b.Submit(p, "decision", allow()), http.StatusBadRequest, broker.ReasonDocumentChanged)
}
