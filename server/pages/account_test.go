package pages_test

import (
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"guestlist/server/pages"
)

func accountPage(t *testing.T, change func(*pages.Account)) *html.Node {
	t.Helper()
	return parse(t, render(t, pageCase{write: account(change)}).Body.String())
}

// buttonsOf lists the buttons below n as name=value.
func buttonsOf(n *html.Node) string {
	var out []string
	for _, b := range elements(n, "button") {
		out = append(out, attr(b, "name")+"="+attr(b, "value"))
	}
	return strings.Join(out, " ")
}

// G-28: a person sees each installation and can end one or all.
func TestG28AccountForm(t *testing.T) {
	root := accountPage(t, func(*pages.Account) {})
	form := formOf(t, root, "account-form")
	if got := fields(form); attr(form, "action") != "/account" || !reflect.DeepEqual(got, map[string][]string{"csrf": {"csrf-token"}}) {
		t.Errorf("form posts %v to %q, want the csrf field alone to /account", got, attr(form, "action"))
	}
	if got, want := buttonsOf(form), "revoke=grant-1 revoke=grant-2 revoke_all=all"; got != want {
		t.Errorf("buttons = %s, want %s", got, want)
	}
	out := formOf(t, root, "signout-form")
	if got := fields(out); attr(out, "action") != "/signout" || !reflect.DeepEqual(got, map[string][]string{"csrf": {"csrf-token"}}) {
		t.Errorf("sign-out posts %v to %q, want the csrf field alone to /signout", got, attr(out, "action"))
	}
	for mark, want := range map[string]string{
		"client-host": "claude.ai|vscode.dev", "client-name": "Claude", "redirect-host": "claude.ai|127.0.0.1:33418",
		"resource": "Demo tools https://mcp.example.com/mcp", "scopes": "mcp:read mcp:write",
		"first-use": "25 November 2026, 01:30 UTC|25 November 2026, 01:30 UTC",
		"last-use":  "25 November 2026, 02:30 UTC|25 November 2026, 01:30 UTC",
		"expires":   "27 November 2026, 01:30 UTC|25 November 2026, 01:30 UTC",
		"person":    "alice", "request-id": firstRequest,
	} {
		if got := strings.Join(marked(root, mark), "|"); got != want {
			t.Errorf("%s = %q, want %q", mark, got, want)
		}
	}
	if marked(root, "more") != nil {
		t.Error("the page says that there are more grants")
	}
	if got := strings.Join(marked(accountPage(t, func(d *pages.Account) { d.More = true }), "more"), ""); !strings.Contains(got, "newest 2") {
		t.Errorf("more = %q, want how many are shown", got)
	}
}

// B34: in each row the host stands before the name that the client chose.
func TestB34AccountRows(t *testing.T) {
	root := accountPage(t, func(d *pages.Account) {
		d.Grants = d.Grants[:1]
		d.Grants[0].ClientHost, d.Grants[0].ClientName = "evil.test", strings.Repeat("claude.ai-", 30)
	})
	row := marked(root, "grant")
	if len(row) != 1 || !strings.HasPrefix(row[0], `evil.test It calls itself "claude.ai`) {
		t.Fatalf("rows = %.90q, want the host, then the name in quotation marks", row)
	}
	if got := []rune(marked(root, "client-name")[0]); len(got) != 61 {
		t.Errorf("name of %d characters, want 60 and an ellipsis", len(got))
	}
}

func TestAccountWithoutGrants(t *testing.T) {
	root := accountPage(t, func(d *pages.Account) { d.Grants = nil })
	if marked(root, "none") == nil || marked(root, "account-form") != nil {
		t.Errorf("page = %q, want that there is nothing and no button for it", mainText(t, root))
	}
	formOf(t, root, "signout-form")
}

// B1: a remembered consent shortens the page. Host, redirect host, warnings
// and the click stay, and so do the boxes, folded away.
func TestB1RememberedConsent(t *testing.T) {
	change := func(d *pages.Consent) {
		d.Loopback, d.RedirectHost, d.RedirectSameHost, d.Warnings = true, "127.0.0.1:33418", false, []string{"One."}
	}
	full := consentPage(t, change)
	short := consentPage(t, func(d *pages.Consent) { change(d); d.Remembered = rememberedAt })
	for _, mark := range []string{"client-host", "client-name", "redirect-host", "loopback-warning", "warning", "resource", "client-id", "person"} {
		if got, want := marked(short, mark), marked(full, mark); want == nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %q, on the full page %q", mark, got, want)
		}
	}
	if got := strings.Join(marked(short, "remembered"), ""); !strings.HasPrefix(got, "You allowed this before, on 1 November 2026.") {
		t.Errorf("remembered = %q, want the day", got)
	}
	form, fullForm := formOf(t, short, "consent-form"), formOf(t, full, "consent-form")
	if got, want := buttonsOf(form), "decision=deny decision=allow"; got != want {
		t.Errorf("buttons = %s, want %s", got, want)
	}
	if got, want := fields(form), fields(fullForm); !reflect.DeepEqual(got, want) {
		t.Errorf("form posts %v, the full page's %v", got, want)
	}
	if got := strings.Join(marked(short, "scope-list"), ""); got != "mcp:read" {
		t.Errorf("scopes in plain sight = %q, want those that are ticked", got)
	}
	folded := 0
	for _, d := range elements(short, "details") {
		for _, a := range d.Attr {
			if a.Key == "open" {
				t.Error("the boxes are not folded away")
			}
		}
		folded += len(elements(d, "input"))
		if buttonsOf(d) != "" {
			t.Error("a button is folded away")
		}
	}
	if folded != 2 {
		t.Errorf("%d boxes folded away, want both", folded)
	}
	if elements(full, "details") != nil || marked(full, "remembered") != nil || marked(full, "scope-list") != nil {
		t.Error("the full page is shortened")
	}
}
