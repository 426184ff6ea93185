package pages_test

import (
	"bytes"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/server/pages"
)

var update = flag.Bool("update", false, "rewrite the golden pages in testdata")

const firstRequest = "01JDJ8YV0Q3T6M9C"

func newPages(t testing.TB, cfg pages.Config) *pages.Pages {
	t.Helper()
	p, err := pages.New(cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v, want no error", cfg, err)
	}
	return p
}

func goodConsent() pages.Consent {
	return pages.Consent{
		RequestID:        firstRequest,
		Action:           "/consent",
		Ticket:           "sealed-ticket",
		CSRF:             "csrf-token",
		ClientID:         "https://claude.ai/oauth/mcp-oauth-client-metadata",
		ClientHost:       "claude.ai",
		ClientName:       "Claude",
		ClientURI:        "https://claude.ai",
		RedirectHost:     "claude.ai",
		RedirectSameHost: true,
		Person:           "alice",
		SignOutAction:    "/signout",
		Resources:        []pages.Resource{{ID: "https://mcp.example.com/mcp", Name: "Demo tools"}},
		Scopes: []pages.Scope{
			{Name: "mcp:read", Description: "Read what the tools show", Checked: true},
			{Name: "mcp:write", Description: "Change things with the tools"},
		},
		FirstSeen:   time.Date(2026, 11, 24, 23, 30, 0, 0, time.FixedZone("", -2*3600)),
		PolicyTitle: "Known MCP clients",
	}
}

func consent(change func(*pages.Consent)) func(*pages.Pages, *httptest.ResponseRecorder) {
	return func(p *pages.Pages, w *httptest.ResponseRecorder) {
		d := goodConsent()
		change(&d)
		p.Consent(w, d)
	}
}

// rememberedAt is still the day before in some places.
var rememberedAt = time.Date(2026, 11, 2, 1, 0, 0, 0, time.FixedZone("", 2*3600))

func goodAccount() pages.Account {
	at := time.Date(2026, 11, 24, 23, 30, 0, 0, time.FixedZone("", -2*3600))
	return pages.Account{
		RequestID: firstRequest, Action: "/account", SignOutAction: "/signout", CSRF: "csrf-token", Person: "alice",
		Grants: []pages.Grant{
			{ID: "grant-1", ClientHost: "claude.ai", ClientName: "Claude", RedirectHost: "claude.ai",
				Resources: []pages.Resource{{ID: "https://mcp.example.com/mcp", Name: "Demo tools"}},
				Scopes:    []string{"mcp:read", "mcp:write"}, FirstUse: at, LastUse: at.Add(time.Hour), Expires: at.Add(48 * time.Hour)},
			{ID: "grant-2", ClientHost: "vscode.dev", RedirectHost: "127.0.0.1:33418", Loopback: true, FirstUse: at, LastUse: at, Expires: at},
		},
	}
}

func account(change func(*pages.Account)) func(*pages.Pages, *httptest.ResponseRecorder) {
	return func(p *pages.Pages, w *httptest.ResponseRecorder) {
		d := goodAccount()
		change(&d)
		p.Account(w, d)
	}
}

func named(name string) func(*pages.Pages, *httptest.ResponseRecorder) {
	return consent(func(d *pages.Consent) { d.ClientName = name })
}

type pageCase struct {
	name   string
	write  func(*pages.Pages, *httptest.ResponseRecorder)
	status int
}

// allPages has every page in every shape; the golden files are named after the
// cases.
func allPages() []pageCase {
	type rec = httptest.ResponseRecorder
	return []pageCase{
		{"consent", consent(func(*pages.Consent) {}), 200},
		{"consent_SN-03_kept", consent(func(d *pages.Consent) { d.NameKept = true }), 200},
		{"consent_M28_loopback", consent(func(d *pages.Consent) {
			d.ClientName, d.RedirectHost, d.Loopback, d.RedirectSameHost = "Claude Code", "127.0.0.1:33418", true, false
		}), 200},
		{"consent_M30_other_host", consent(func(d *pages.Consent) {
			d.RedirectHost, d.RedirectSameHost = "callback.example.net:8443", false
		}), 200},
		{"consent_bare", consent(func(d *pages.Consent) {
			*d = pages.Consent{ClientHost: "claude.ai", RedirectHost: "claude.ai", Action: "/consent"}
		}), 200},
		{"consent_A11_terms_and_privacy", consent(func(d *pages.Consent) {
			d.TosURI, d.PolicyURI = "https://claude.ai/terms", "https://claude.ai/privacy"
		}), 200},
		{"consent_warnings", consent(func(d *pages.Consent) {
			d.Warnings = []string{"The document changed since you last agreed.", "Its keys <b>moved</b>."}
		}), 200},
		{"consent_B1_remembered", consent(func(d *pages.Consent) { d.Remembered = rememberedAt }), 200},
		{"consent_B1_remembered_loopback", consent(func(d *pages.Consent) {
			d.Remembered, d.RedirectHost, d.Loopback, d.RedirectSameHost = rememberedAt, "127.0.0.1:33418", true, false
			d.Warnings = []string{"The application names itself by the front page of its host."}
		}), 200},
		{"account_G-28", account(func(*pages.Account) {}), 200},
		{"account_none", account(func(d *pages.Account) { d.Grants = nil }), 200},
		{"account_more", account(func(d *pages.Account) { d.More = true }), 200},
		{"account_B34_attribute", account(func(d *pages.Account) {
			const s = `"' onclick=alert(1) style=x </bdi></form><script>alert(1)</script>`
			d.CSRF, d.Person = s, s
			d.Grants = []pages.Grant{{ID: s, ClientHost: s, ClientName: s + strings.Repeat("x", 300), RedirectHost: s,
				Resources: []pages.Resource{{ID: s, Name: s}}, Scopes: []string{s}}}
		}), 200},
		{"consent_B34_script", named(`</bdi></p><script>alert(1)</script><img src=x onerror=alert(1)>`), 200},
		{"consent_B34_attribute", consent(func(d *pages.Consent) {
			const s = `"' onclick=alert(1) style=x <!-- `
			d.Ticket, d.CSRF, d.ClientName, d.ClientURI, d.Person, d.PolicyTitle = s, s, s, s, s, s
			d.TosURI, d.PolicyURI = s, s
			d.ClientID, d.ClientHost, d.RedirectHost = s, s, s
			d.Resources = []pages.Resource{{ID: s, Name: s}}
			d.Scopes = []pages.Scope{{Name: s, Description: s, Checked: true}}
		}), 200},
		{"consent_B34_bidi", named("evil \u202egpj.exe\u202c \u2066Claude\u2069\u2069 \u200f"), 200},
		{"consent_B34_newline", named("Claude\r\n\n\n\t\x00\x1b[2J verified by\u2028 claude.ai\u0085"), 200},
		{"consent_B34_300_characters", named(strings.Repeat("Claude by Anthropic ", 15)), 200},
		{"consent_B34_300_runes_unspaced", named(strings.Repeat("ж", 300)), 200},
		{"consent_B34_heap_of_marks", named("C" + strings.Repeat("\u0335", 50) + "laude"), 200},
		{"consent_A12_lookalike_host", consent(func(d *pages.Consent) {
			d.ClientHost, d.ClientID, d.RedirectHost = "xn--clude-4ve.ai", "https://xn--clude-4ve.ai/c", "xn--clude-4ve.ai"
		}), 200},
		{"consent_A12_unicode_host_never_as_letters", consent(func(d *pages.Consent) {
			d.ClientHost, d.RedirectHost = "cl\u0430ude.ai", "cl\u0430ude.ai"
			d.ClientID, d.ClientURI = "https://cl\u0430ude.ai/c", "https://cl\u0430ude.ai\u202e"
		}), 200},
		{"consent_G-21_claude_from_evil_test", consent(func(d *pages.Consent) {
			d.ClientHost, d.ClientID, d.RedirectHost = "evil.test", "https://evil.test/client", "evil.test"
			d.FirstSeen = time.Time{}
		}), 200},
		{"consent_B34_long_host", consent(func(d *pages.Consent) {
			host := strings.Repeat("accounts.claude.ai.", 12) + "evil.test"
			d.ClientHost, d.ClientID, d.RedirectHost = host, "https://"+host+"/client", host
		}), 200},
		{"signin", func(p *pages.Pages, w *rec) {
			p.SignIn(w, pages.SignIn{RequestID: firstRequest, Action: "/signin", Ticket: "sealed-ticket", CSRF: "csrf-token", ClientHost: "claude.ai"})
		}, 200},
		{"signin_again", func(p *pages.Pages, w *rec) {
			p.SignIn(w, pages.SignIn{Status: 429, RequestID: firstRequest, Action: "/signin", CSRF: "csrf-token",
				Username: `alice"><script>`, Problem: "User name or password is wrong.", RetryAfter: 30})
		}, 429},
		{"error", func(p *pages.Pages, w *rec) {
			p.Error(w, pages.Error{Status: 400, RequestID: firstRequest, PublicReason: "client_not_admitted", Title: "This client was not admitted",
				Text: "The server does not let this client in.", UserMessage: "Ask <it@corp.example> for access.", HelpURL: "/help/client_not_admitted"})
		}, 400},
		{"error_G-27_read_again", func(p *pages.Pages, w *rec) {
			p.Error(w, pages.Error{Status: 400, RequestID: firstRequest, PublicReason: "request_invalid", Title: "The request is not valid",
				ReadAgain: time.Date(2026, 11, 24, 23, 30, 0, 0, time.FixedZone("", -2*3600))})
		}, 400},
		{"error_try_later", func(p *pages.Pages, w *rec) {
			p.Error(w, pages.Error{Status: 429, PublicReason: "try_later", RetryAfter: 600})
		}, 429},
		{"help", func(p *pages.Pages, w *rec) {
			p.Help(w, pages.Help{Reason: "client_not_admitted", Title: "The client was not admitted",
				Text: "Each server has a guest list.", What: []string{"Check the address.", "Ask the operator."}})
		}, 200},
		{"help_bare", func(p *pages.Pages, w *rec) { p.Help(w, pages.Help{Reason: "try_later"}) }, 200},
		{"message", func(p *pages.Pages, w *rec) {
			p.Message(w, pages.Message{RequestID: firstRequest, Title: "Signed out", Text: "You are signed out."})
		}, 200},
	}
}

func render(t testing.TB, c pageCase) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	c.write(newPages(t, pages.Config{Ask: "the <service desk> {{.}}", AskURL: "https://desk.example/ask?a=1&b=%22"}), w)
	return w
}

func TestGoldenPages(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range allPages() {
		seen[c.name+".golden.html"] = true
		t.Run(c.name, func(t *testing.T) {
			got := withoutStyle(t, render(t, c).Body.Bytes())
			path := filepath.Join("testdata", c.name+".golden.html")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("page differs from %s (refresh with -update and look at the difference):\n%s", path, firstDifference(got, want))
			}
		})
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			t.Errorf("testdata/%s belongs to no case", f.Name())
		}
	}
}

// withoutStyle leaves the style sheet, the same on every page, out of the golden
// files.
func withoutStyle(t *testing.T, page []byte) []byte {
	t.Helper()
	head, rest, found := bytes.Cut(page, []byte("<style>"))
	_, tail, closed := bytes.Cut(rest, []byte("</style>"))
	if !found || !closed {
		t.Fatal("page has no style element")
	}
	return slices.Concat(head, []byte("<style>style.css</style>"), tail)
}

func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "got:  " + g[i] + "\nwant: " + w[i]
		}
	}
	return "one is longer"
}

func TestHeaders(t *testing.T) {
	want := map[string]string{
		"Content-Type":           "text/html; charset=utf-8",
		"X-Frame-Options":        "DENY",
		"Referrer-Policy":        "no-referrer",
		"X-Content-Type-Options": "nosniff",
		"Cache-Control":          "no-store",
		"Permissions-Policy":     "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
	}
	for _, c := range allPages() {
		t.Run(c.name, func(t *testing.T) {
			w := render(t, c)
			if w.Code != c.status {
				t.Errorf("status = %d, want %d", w.Code, c.status)
			}
			for name, value := range want {
				if got := w.Header()[name]; len(got) != 1 || got[0] != value {
					t.Errorf("%s = %q, want %q once", name, got, value)
				}
			}
			csp := w.Header().Get("Content-Security-Policy")
			sum := styleHash(t, parse(t, w.Body.String()))
			wantCSP := "default-src 'none'; style-src 'sha256-" + sum + "'; img-src 'none'; base-uri 'none'; frame-ancestors 'none'"
			if csp != wantCSP {
				t.Errorf("Content-Security-Policy = %q, want %q", csp, wantCSP)
			}
			if strings.Contains(csp, "form-action") {
				t.Errorf("trap F10: Content-Security-Policy = %q, want no form-action", csp)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	p := newPages(t, pages.Config{})
	cases := []struct {
		seconds      int
		header, text string
	}{
		{0, "", ""},
		{-1, "", ""},
		{1, "1", "Try again in 1 second."},
		{90, "90", "Try again in 90 seconds."},
		{91, "91", "Try again in 2 minutes."},
		{121, "121", "Try again in 3 minutes."},
	}
	for _, c := range cases {
		for _, page := range []string{"error", "signin"} {
			w := httptest.NewRecorder()
			if page == "error" {
				p.Error(w, pages.Error{Status: 429, RetryAfter: c.seconds})
			} else {
				p.SignIn(w, pages.SignIn{Status: 429, RetryAfter: c.seconds})
			}
			if got := w.Header().Get("Retry-After"); got != c.header {
				t.Errorf("%s, %d seconds: Retry-After = %q, want %q", page, c.seconds, got, c.header)
			}
			if got := marked(parse(t, w.Body.String()), "retry-after"); strings.Join(got, "|") != c.text {
				t.Errorf("%s, %d seconds: text = %q, want %q", page, c.seconds, got, c.text)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	p := newPages(t, pages.Config{})
	cases := []struct{ given, signin, error, message int }{
		{0, 200, 500, 200},
		{401, 401, 401, 401},
		{99, 500, 500, 500},
		{100, 500, 500, 500},
		{600, 500, 500, 500},
		{-1, 500, 500, 500},
	}
	for _, c := range cases {
		s, e, m := httptest.NewRecorder(), httptest.NewRecorder(), httptest.NewRecorder()
		p.SignIn(s, pages.SignIn{Status: c.given})
		p.Error(e, pages.Error{Status: c.given})
		p.Message(m, pages.Message{Status: c.given})
		if s.Code != c.signin || e.Code != c.error || m.Code != c.message {
			t.Errorf("Status %d answers %d, %d, %d, want %d, %d, %d", c.given, s.Code, e.Code, m.Code, c.signin, c.error, c.message)
		}
	}
}

func TestTitleAndHelpOfTheServer(t *testing.T) {
	w := httptest.NewRecorder()
	newPages(t, pages.Config{Title: "Corp <Sign-in>", Ask: "extension 1234"}).Message(w, pages.Message{Title: "Signed out"})
	for _, want := range []string{"<title>Signed out – Corp &lt;Sign-in&gt;</title>", `<p class="brand">Corp &lt;Sign-in&gt;</p>`, "Questions? Ask <bdi>extension 1234</bdi>."} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("page does not contain %q", want)
		}
	}
	w = httptest.NewRecorder()
	newPages(t, pages.Config{}).Message(w, pages.Message{Title: "Signed out"})
	if !strings.Contains(w.Body.String(), "<title>Signed out – Guestlist</title>") {
		t.Error("the default title is not Guestlist")
	}
	if got := marked(parse(t, w.Body.String()), "contact"); got != nil {
		t.Errorf("contact = %q, want none", got)
	}
}

// A help link that is not a link of the web must not become one.
func TestHelpURLCannotRunScript(t *testing.T) {
	w := httptest.NewRecorder()
	newPages(t, pages.Config{}).Error(w, pages.Error{HelpURL: "javascript:alert(1)"})
	if strings.Contains(w.Body.String(), "javascript:") {
		t.Error("the page has a javascript: link")
	}
}

// Whom to ask is bounded, and its link leads to the web or to mail.
func TestAskBounds(t *testing.T) {
	for _, tt := range []struct {
		ask, url, want string
	}{
		{"the identity team", "", ""},
		{"the identity team", "https://help.corp.example/ask", ""},
		{"the identity team", "mailto:iam@corp.example?subject=Guestlist", ""},
		{strings.Repeat("a", pages.MaxAsk), "", ""},
		{strings.Repeat("a", pages.MaxAsk+1), "", "has 201 bytes"},
		{"", "https://help.corp.example/", "nobody to ask"},
		{"us", "http://help.corp.example/", "neither an https URL"},
		{"us", "javascript:alert(1)", "neither an https URL"},
		{"us", "JavaScript:alert(1)", "neither an https URL"},
		{"us", "data:text/html,x", "neither an https URL"},
		{"us", "//help.corp.example/", "neither an https URL"},
		{"us", "https:help.corp.example", "neither an https URL"},
		{"us", "https://me@help.corp.example/", "neither an https URL"},
		{"us", "mailto:nobody", "neither an https URL"},
		{"us", "https://help.corp.example/\u202e", "not a URL"},
		{"us", " https://help.corp.example/", "not a URL"},
		{"us", "https://help.corp.example/" + strings.Repeat("a", 1000), "not a URL"},
	} {
		_, err := pages.New(pages.Config{Ask: tt.ask, AskURL: tt.url})
		if (tt.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%.40q, %.60q) = %v, want %q", tt.ask, tt.url, err, tt.want)
		}
	}
}

// A person who is refused is told whom to ask and what to say, whether or not
// somebody is named, and a help page says it too.
func TestAskOnRefusals(t *testing.T) {
	for _, tt := range []struct {
		cfg       pages.Config
		ask, link string
	}{
		{pages.Config{}, "", ""},
		{pages.Config{Ask: "the identity team"}, "the identity team", ""},
		{pages.Config{Ask: "the identity team", AskURL: "mailto:iam@corp.example"}, "the identity team", `href="mailto:iam@corp.example"`},
	} {
		p, refused, help := newPages(t, tt.cfg), httptest.NewRecorder(), httptest.NewRecorder()
		p.Error(refused, pages.Error{Status: 403, RequestID: firstRequest})
		p.Help(help, pages.Help{Reason: "client_not_admitted"})
		for name, w := range map[string]*httptest.ResponseRecorder{"error": refused, "help": help} {
			got := strings.Join(marked(parse(t, w.Body.String()), "ask"), "|")
			if !strings.Contains(got, tt.ask) || (got == "") != (tt.ask == "") || !strings.Contains(w.Body.String(), tt.link) {
				t.Errorf("%+v: the %s page says %q, want %q and %q", tt.cfg, name, got, tt.ask, tt.link)
			}
			if (name == "error" && tt.ask != "") != strings.Contains(got, firstRequest) {
				t.Errorf("%+v: the %s page says %q; the request id belongs to refusals", tt.cfg, name, got)
			}
		}
		if tt.ask == "" && !strings.Contains(refused.Body.String(), "name the request ID at the foot") {
			t.Error("without anybody to ask, the page does not say what to do with the request id")
		}
	}
}
