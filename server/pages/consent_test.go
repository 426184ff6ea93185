package pages_test

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"guestlist/server/pages"
)

func consentPage(t *testing.T, change func(*pages.Consent)) *html.Node {
	t.Helper()
	return parse(t, render(t, pageCase{write: consent(change)}).Body.String())
}

func mainText(t *testing.T, root *html.Node) string {
	t.Helper()
	return text(elements(root, "main")[0])
}

func TestA12HostComesFirst(t *testing.T) {
	for _, c := range allPages() {
		if !strings.HasPrefix(c.name, "consent") {
			continue
		}
		root := parse(t, render(t, c).Body.String())
		host := marked(root, "client-host")
		if len(host) != 1 || !strings.HasPrefix(mainText(t, root), host[0]+" asks for access in your name") {
			t.Errorf("%s: page begins %.80q, want the client's host %q", c.name, mainText(t, root), host)
		}
		if !strings.HasPrefix(text(elements(root, "title")[0]), host[0]) {
			t.Errorf("%s: title = %q, want it to begin with the client's host", c.name, text(elements(root, "title")[0]))
		}
		for _, mark := range []string{"client-host", "redirect-host", "client-id", "client-uri"} {
			for _, shown := range marked(root, mark) {
				if i := strings.IndexFunc(shown, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
					t.Errorf("%s: %s = %q, want printable ASCII only", c.name, mark, shown)
				}
			}
		}
	}
}

func TestG21ClaudeFromEvilHost(t *testing.T) {
	root := consentPage(t, func(d *pages.Consent) {
		d.ClientHost, d.ClientID, d.RedirectHost = "evil.test", "https://evil.test/client", "evil.test"
	})
	got := mainText(t, root)
	if !strings.HasPrefix(got, `evil.test asks for access in your name It calls itself "Claude".`) {
		t.Errorf("page begins %.90q, want host, then the name in quotation marks", got)
	}
	if strings.Contains(strings.ToLower(got), "verified") {
		t.Errorf("page = %q, want no word about verification", got)
	}
}

func TestB34NameStaysInItsPlace(t *testing.T) {
	cases := []struct{ name, given, want string }{
		{"plain", "Claude", "Claude"},
		{"script", "<script>alert(1)</script>", "<script>alert(1)</script>"},
		{"60 runes", strings.Repeat("é", 60), strings.Repeat("é", 60)},
		{"61 runes", strings.Repeat("é", 61), strings.Repeat("é", 60) + "…"},
		{"300 characters", strings.Repeat("x", 300), strings.Repeat("x", 60) + "…"},
		{"bidi override", "a\u202eb\u2069c\u061cd", "a\ufffdb\ufffdc\ufffdd"},
		{"newlines", " a\r\n\n b\u2028c\x00d ", "a b c d"},
		{"marks of a script", "\u0e17\u0e35\u0e48", "\u0e17\u0e35\u0e48"},
		{"heap of marks", "a" + strings.Repeat("\u0300", 40) + "b\u0300", "a\u0300\u0300\u0300\u0300b\u0300"},
		{"bad UTF-8", "a\xffb", "a\ufffdb"},
	}
	for _, c := range cases {
		root := consentPage(t, func(d *pages.Consent) { d.ClientName = c.given })
		got := marked(root, "client-name")
		if len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: shown name = %q, want %q", c.name, got, c.want)
		}
		for _, n := range elements(root, "") {
			if attr(n, "data-guestlist") == "client-name" && n.Data != "bdi" {
				t.Errorf("%s: name stands in %s, want bdi", c.name, n.Data)
			}
		}
	}
	for _, empty := range []string{"", " \n\t"} {
		root := consentPage(t, func(d *pages.Consent) { d.ClientName = empty })
		if !strings.Contains(mainText(t, root), "It gives no name.") || marked(root, "client-name") != nil {
			t.Errorf("name %q: page says %q, want that there is none", empty, mainText(t, root))
		}
	}
}

func TestM30RedirectHostIsAlwaysSaid(t *testing.T) {
	cases := []struct {
		name       string
		host       string
		same, loop bool
		want       string
	}{
		{"same host", "claude.ai", true, false, "You will be sent to claude.ai, the same host."},
		{"other host", "callback.example.net:8443", false, false, "You will be sent to callback.example.net:8443, which is another host than claude.ai."},
		{"loopback", "127.0.0.1:33418", false, true, "You will be sent to 127.0.0.1:33418, which is this computer."},
		{"loopback wins over same host", "localhost", true, true, "You will be sent to localhost, which is this computer."},
	}
	for _, c := range cases {
		root := consentPage(t, func(d *pages.Consent) { d.RedirectHost, d.RedirectSameHost, d.Loopback = c.host, c.same, c.loop })
		if got := mainText(t, root); !strings.Contains(got, c.want) {
			t.Errorf("%s: page = %q, want %q in it", c.name, got, c.want)
		}
		warning := strings.Join(marked(root, "loopback-warning"), "|")
		if got := strings.Contains(warning, "any program on this computer could be receiving it"); got != c.loop {
			t.Errorf("M28, %s: loopback warning = %q, want one: %v", c.name, warning, c.loop)
		}
	}
}

// fields reads a form as a browser sends it, before a button is pressed.
func fields(form *html.Node) map[string][]string {
	out := map[string][]string{}
	for _, n := range elements(form, "input") {
		checked := false
		for _, a := range n.Attr {
			checked = checked || a.Key == "checked"
		}
		if attr(n, "type") != "checkbox" || checked {
			out[attr(n, "name")] = append(out[attr(n, "name")], attr(n, "value"))
		}
	}
	return out
}

func formOf(t *testing.T, root *html.Node, mark string) *html.Node {
	t.Helper()
	for _, n := range elements(root, "form") {
		if attr(n, "data-guestlist") == mark {
			return n
		}
	}
	t.Fatalf("no form %s", mark)
	return nil
}

func TestConsentForms(t *testing.T) {
	root := consentPage(t, func(d *pages.Consent) { d.Scopes[0].Name, d.Ticket = `a"b`, `t&"'<>` })
	form := formOf(t, root, "consent-form")
	want := map[string][]string{"ticket": {`t&"'<>`}, "csrf": {"csrf-token"}, "scope": {`a"b`}}
	if got := fields(form); attr(form, "action") != "/consent" || !reflect.DeepEqual(got, want) {
		t.Errorf("form posts %v to %q, want %v to /consent", got, attr(form, "action"), want)
	}
	if got := len(elements(form, "input")); got != 4 {
		t.Errorf("form has %d fields, want ticket, csrf and two scope boxes", got)
	}
	var buttons []string
	for _, b := range elements(form, "button") {
		buttons = append(buttons, attr(b, "name")+"="+attr(b, "value"))
	}
	// The first button is what the Enter key presses: it must not give access.
	if got := strings.Join(buttons, " "); got != "decision=deny decision=allow" {
		t.Errorf("buttons = %s, want decision=deny decision=allow", got)
	}
	out := formOf(t, root, "signout-form")
	if got, want := fields(out), (map[string][]string{"csrf": {"csrf-token"}, "ticket": {`t&"'<>`}}); attr(out, "action") != "/signout" || !reflect.DeepEqual(got, want) {
		t.Errorf("sign-out posts %v to %q, want %v to /signout", got, attr(out, "action"), want)
	}
	if got := marked(root, "person"); len(got) != 1 || got[0] != "alice" {
		t.Errorf("person = %q, want alice", got)
	}
}

func TestConsentFacts(t *testing.T) {
	root := consentPage(t, func(d *pages.Consent) { d.Warnings = []string{"One.", "Two."} })
	for mark, want := range map[string]string{
		"client-id":    "https://claude.ai/oauth/mcp-oauth-client-metadata",
		"client-uri":   "https://claude.ai",
		"resource":     "Demo tools https://mcp.example.com/mcp",
		"first-seen":   "25 November 2026",
		"policy-title": "Known MCP clients",
		"request-id":   firstRequest,
		"warning":      "Caution: One.|Caution: Two.",
	} {
		if got := strings.Join(marked(root, mark), "|"); got != want {
			t.Errorf("%s = %q, want %q", mark, got, want)
		}
	}
}

func TestSignInForm(t *testing.T) {
	w := httptest.NewRecorder()
	newPages(t, pages.Config{}).SignIn(w, pages.SignIn{Action: "/signin", Ticket: "t", CSRF: "c", Username: "alice", Problem: "Wrong."})
	root := parse(t, w.Body.String())
	want := map[string][]string{"ticket": {"t"}, "csrf": {"c"}, "username": {"alice"}, "password": {""}}
	form := formOf(t, root, "signin-form")
	if got := fields(form); attr(form, "action") != "/signin" || !reflect.DeepEqual(got, want) {
		t.Errorf("form posts %v to %q, want %v to /signin", got, attr(form, "action"), want)
	}
	for _, n := range elements(form, "input") {
		if name := attr(n, "name"); name == "password" && (attr(n, "type") != "password" || attr(n, "autocomplete") != "current-password") {
			t.Error("the password field is not one")
		}
	}
	if got := marked(root, "problem"); len(got) != 1 || got[0] != "Wrong." {
		t.Errorf("problem = %q, want %q", got, "Wrong.")
	}
}
