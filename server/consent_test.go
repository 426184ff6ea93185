package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestA12ConsentContent: the page names the client's host, its identifier and
// where the person will be sent, and warns of loopback (M28, M30).
func TestA12ConsentContent(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := atConsent(t, s, s.Browser(), url.Values{"scope": {"mcp:read mcp:write"}})
	for name, want := range map[string]string{
		"client-host": "client.example.com", "client-id": client, "client-name": "Example", "redirect-host": "127.0.0.1:51234",
		"person": servertest.Person, "request-id": p.Header.Get("X-Request-Id"),
	} {
		if got := mark(p, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if mark(p, "loopback-warning") == "" {
		t.Error("no warning about loopback (M28)")
	}
	if got := mark(p, "resource"); !strings.Contains(got, servertest.Resource) {
		t.Errorf("resource = %q", got)
	}
	if _, f, _ := p.Form("decision"); !slices.Equal(f["scope"], []string{"mcp:read", "mcp:write"}) {
		t.Errorf("ticked scopes = %q, want what was asked for", f["scope"])
	}
	b := s.Browser()
	s.Docs.Publish(docHost+"/web", map[string]any{"redirect_uris": []string{"https://app.example.net:8443/cb"}})
	p = b.SignIn(b.Authorize(s.Request(docHost+"/web", url.Values{"redirect_uri": nil})), servertest.Person)
	if got := mark(p, "redirect-host"); got != "app.example.net:8443" || mark(p, "loopback-warning") != "" {
		t.Errorf("redirect host = %q, loopback warning %q", got, mark(p, "loopback-warning"))
	}
}

// TestB34ConsentText: what a client chose for itself comes after its host and
// cannot push it away, dress up as it, or become markup. A service that hosts
// the documents of many is seen by its host, not by the names in them (A14).
func TestB34ConsentText(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for name, clientName := range map[string]string{
		"300 characters": strings.Repeat("Anthropic ", 30), "markup": `<script>alert(1)</script><b data-guestlist="client-host">claude.ai</b>`,
		"another host": "claude.ai", "lookalike": "clаude.ai",
	} {
		t.Run(name, func(t *testing.T) {
			id := docHost + "/" + url.PathEscape(name)
			s.Docs.Publish(id, map[string]any{"client_name": clientName})
			b := s.Browser()
			p := b.SignIn(b.Authorize(s.Request(id, nil)), servertest.Person)
			host, called := strings.Index(p.Body, `data-guestlist="client-host"`), strings.Index(p.Body, `data-guestlist="client-name"`)
			if mark(p, "client-host") != "client.example.com" || host < 0 || called < host {
				t.Errorf("host %q at %d, name at %d, want the host first", mark(p, "client-host"), host, called)
			}
			if got := []rune(mark(p, "client-name")); len(got) > 61 || strings.Contains(p.Body, "<script") {
				t.Errorf("name of %d characters, script %v", len(got), strings.Contains(p.Body, "<script"))
			}
		})
	}
	for name, clientName := range map[string]string{"bidi": "Claude\u202eedoC", "newline": "Claude\nSafe"} {
		id := docHost + "/" + name
		s.Docs.Publish(id, map[string]any{"client_name": clientName})
		wantPage(t, s, s.Browser().Authorize(s.Request(id, nil)), http.StatusBadRequest, broker.ReasonDocumentMember)
	}
}

// TestConsentDecisions: what the person says is what is granted.
func TestConsentDecisions(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	both := url.Values{"scope": {"mcp:read mcp:write"}}
	for _, tt := range []struct {
		name   string
		asked  url.Values
		answer url.Values
		scope  string // of the token; empty: access_denied
	}{
		{"all", both, url.Values{"decision": {"allow"}}, "mcp:read mcp:write"},
		{"one unticked", both, url.Values{"decision": {"allow"}, "scope": {"mcp:write"}}, "mcp:write"},
		{"B18 scope omitted", url.Values{"scope": nil}, url.Values{"decision": {"allow"}}, "mcp:read"},
		{"B18 scope empty", url.Values{"scope": {""}}, url.Values{"decision": {"allow"}}, "mcp:read"},
		{"ticked what was not offered", nil, url.Values{"decision": {"allow"}, "scope": {"mcp:read", "mcp:write", "admin"}}, "mcp:read"},
		{"ticked only what was not offered", nil, url.Values{"decision": {"allow"}, "scope": {"mcp:write"}}, ""},
		{"nothing ticked", both, url.Values{"decision": {"allow"}, "scope": nil}, ""},
		{"deny", both, url.Values{"decision": {"deny"}}, ""},
		{"unknown scope dropped", url.Values{"scope": {"mcp:read openid"}}, url.Values{"decision": {"allow"}}, "mcp:read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := s.Browser()
			p := b.Submit(atConsent(t, s, b, tt.asked), "decision", tt.answer)
			if tt.scope == "" {
				wantRedirect(t, s, p, "access_denied", broker.ReasonConsentRefused)
				return
			}
			a := answerOf(t, post(t, s, s.Exchange(client, p, nil), nil))
			if a["scope"] != tt.scope || servertest.Claims(t, a["access_token"])["scope"] != tt.scope {
				t.Errorf("token scope = %v, want %q", a["scope"], tt.scope)
			}
			if g := grantOf(t, s, p.Header.Get("X-Request-Id")); strings.Join(g.Scopes, " ") != tt.scope {
				t.Errorf("grant scopes = %q, want %q", g.Scopes, tt.scope)
			}
		})
	}
	b := s.Browser()
	p := atConsent(t, s, b, nil)
	for _, decision := range []url.Values{{"decision": {"yes"}}, {}} {
		wantPage(t, s, b.Submit(p, "decision", decision), http.StatusBadRequest, broker.ReasonRequestInvalid)
	}
	if p = b.Submit(p, "decision", allow()); p.Param("code") == "" {
		t.Errorf("after no answer: location %q, want a code", p.Location)
	}
}

// TestDenyUserByGroup: nobody is shown a consent page for what they may not
// give.
func TestDenyUserByGroup(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: policy(`deny_user contains {"code": "sales", "message": "sales may not", "user_message": "Ask engineering."} if "sales" in input.user.groups

deny_user contains {"code": "write_needs_ops", "message": "write is for ops"} if {
	"mcp:write" in input.effective.scopes
	not "ops" in input.user.groups
}`)})
	b := s.Browser()
	p := b.SignIn(b.Authorize(s.Request(client, nil)), "bob")
	wantRedirect(t, s, p, "access_denied", broker.ReasonPolicyDenied)
	if got := p.Param("error_description"); !strings.HasPrefix(got, "Ask engineering.") {
		t.Errorf("error_description = %q, want the user_message", got)
	}
	wantRedirect(t, s, s.Browser().Play(s.Request(client, url.Values{"scope": {"mcp:read mcp:write"}})), "access_denied", broker.ReasonPolicyDenied)
	b = s.Browser()
	p = atConsent(t, s, b, nil)
	// The person lost the right while the page was open.
	s.WritePeople(servertest.Account{Username: servertest.Person, Groups: []string{"sales"}})
	wantRedirect(t, s, b.Submit(p, "decision", allow()), "access_denied", broker.ReasonPolicyDenied)
}

// TestRequireGroups: settings.require.groups names who may (design §4).
func TestRequireGroups(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: map[string]string{"clients.rego": strings.Replace(base, "settings := {", "settings := {\n\t\"require\": {\"groups\": [\"eng\"]},", 1)}})
	b := s.Browser()
	wantRedirect(t, s, b.SignIn(b.Authorize(s.Request(client, nil)), "bob"), "access_denied", broker.ReasonGroupRequired)
	codePage(t, s, s.Browser(), nil)
}

// TestB33OtherGrantsLive: a new grant ends no other of the same client and
// person.
func TestB33OtherGrantsLive(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	b := s.Browser()
	var pages []servertest.Page
	for port := 1; port <= 3; port++ {
		pages = append(pages, codePage(t, s, b, url.Values{"redirect_uri": {fmt.Sprintf("http://localhost:%d/callback", port)}}))
	}
	for i, p := range pages {
		uri := fmt.Sprintf("http://localhost:%d/callback", i+1)
		if got := post(t, s, s.Exchange(client, p, url.Values{"redirect_uri": {uri}}), nil); got.Status != http.StatusOK {
			t.Errorf("installation %d: status %d\n%s", i, got.Status, got.Body)
		}
		if g := grantOf(t, s, p.Header.Get("X-Request-Id")); !g.EndedAt.IsZero() {
			t.Errorf("installation %d: the grant ended: %s", i, g.EndReason)
		}
	}
	if n := len(s.Records(store.RecordQuery{Event: "consent.granted"})); n != 3 {
		t.Errorf("%d grants, want 3", n)
	}
}

// TestCU09ShownLinks: links of another origin stay off the page and are
// listed as cut, unless settings waive it; what is shown is text, and a logo is
// neither shown nor fetched (Q11). As much as possible is shown besides (A11).
func TestCU09ShownLinks(t *testing.T) {
	t.Parallel()
	const own, foreign = "https://client.example.com", "https://other.example.net"
	links := func(at string) map[string]any {
		return map[string]any{"client_uri": at + "/", "tos_uri": at + "/terms", "policy_uri": at + "/privacy", "logo_uri": at + "/logo.png"}
	}
	for _, tt := range []struct {
		name, at, settings string
		shown              bool
	}{
		{"own origin", own, `true`, true},
		{"another origin", foreign, `true`, false},
		{"another origin, waived", foreign, `false`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, servertest.Options{Policy: map[string]string{"clients.rego": strings.Replace(base,
				`"redirect":`, `"display": {"same_origin": `+tt.settings+`}, "redirect":`, 1)}})
			s.Docs.Publish(client, links(tt.at))
			p := atConsent(t, s, s.Browser(), nil)
			want := map[string]string{"client-uri": tt.at + "/", "tos-uri": tt.at + "/terms", "policy-uri": tt.at + "/privacy", "client-id": client}
			for name, text := range want {
				if name != "client-id" && !tt.shown {
					text = ""
				}
				if got := mark(p, name); got != text {
					t.Errorf("%s = %q, want %q", name, got, text)
				}
			}
			if strings.Contains(p.Body, "logo.png") || strings.Contains(p.Body, "<img") || strings.Contains(p.Body, `href="`+tt.at) {
				t.Errorf("the page has a logo or a link\n%s", brief(p))
			}
			var cut []string
			for _, r := range s.Records(store.RecordQuery{Outcome: "admitted"}) {
				for _, c := range r.Cut {
					cut = append(cut, c.Member)
				}
			}
			if all := slices.Contains(cut, "client_uri") && slices.Contains(cut, "logo_uri") && slices.Contains(cut, "tos_uri") && slices.Contains(cut, "policy_uri"); all == tt.shown || tt.shown && len(cut) > 0 {
				t.Errorf("cut = %q", cut)
			}
			if n := s.Docs.Total(); n != 1 {
				t.Errorf("%d fetches, want the document alone", n)
			}
		})
	}
}
