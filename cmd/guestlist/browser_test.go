package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// chromium finds the browser. On a developer's machine without one the test
// says so and ends; where CI is set it must be there.
func chromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is not installed; .ci/run installs it")
		}
		t.Skip("chromium is not installed")
	}
	return path
}

// TestDevLinkInChromium plays the demo admission in a real browser: __Host-
// cookies work on http loopback (trap F9), and the consent page's policy does
// not block the redirect to the client (trap F10).
func TestDevLinkInChromium(t *testing.T) {
	path := chromium(t)
	_, issuer, password, _, link := devServer(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	do := func(a chromedp.Action[chromedp.Void]) {
		t.Helper()
		if _, err := chromedp.Run(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	text := func(selector string) string {
		t.Helper()
		for {
			v, err := chromedp.Run(ctx, chromedp.Text(selector))
			if err == nil {
				return v
			}
			if ctx.Err() != nil || !strings.Contains(err.Error(), "No node") {
				t.Fatal(err)
			}
			// The page was left while it was looked at.
		}
	}
	do(chromedp.Navigate(link))
	do(chromedp.SendKeys(`input[name=username]`, devPerson))
	do(chromedp.SendKeys(`input[name=password]`, password))
	do(chromedp.Click(`form button[type=submit]`))
	host := text(`[data-guestlist=client-host]`)
	cookies, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) ([]*network.Cookie, error) {
		r, err := cdp.Call(ctx, target, network.GetCookies, network.GetCookiesParams{URLs: []string{issuer + "/"}})
		if err != nil {
			return nil, err
		}
		return r.Cookies, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	do(chromedp.Click(`button[value=allow]`))
	claims := text(`[data-demo=claims]`)
	if host != demoHost {
		t.Errorf("consent shows host %q, want %q", host, demoHost)
	}
	cookies = slices.DeleteFunc(cookies, func(c *network.Cookie) bool { return strings.HasPrefix(c.Name, "guestlist-") }) // plain twins
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HTTPOnly || c.Path != "/" {
			t.Errorf("cookie %+v, want __Host-, Secure, HttpOnly, Path=/", c)
		}
	}
	if len(cookies) != 2 {
		t.Errorf("%d cookies, want the browser's and the session's", len(cookies))
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(claims), &got); err != nil || got["client_id"] != demoClientID || got["iss"] != issuer {
		t.Errorf("claims = %s (%v)", claims, err)
	}
}
