package main

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// devServer starts serve --dev on a free port.
func devServer(t testing.TB, args ...string) (p *process, issuer, password, socket, link string) {
	t.Helper()
	p = start(t, guestlist(append([]string{"serve", "--dev", "--listen", "127.0.0.1:0"}, args...)...))
	link = p.find(p.out, "Open:\n\n  ", "\n")
	issuer = p.find(p.out, "issuer     ", "\n")
	password = p.find(p.out, "password ", "\n")
	socket = p.find(p.out, "--socket ", "\n")
	p.find(p.errs, `"server.started"`, "\n")
	return p, issuer, password, socket, link
}

// marked returns the text of the elements that carry a data-demo mark.
func marked(body, mark string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?s)data-demo="`+mark+`">(.*?)</`).FindAllStringSubmatch(body, -1) {
		out = append(out, html.UnescapeString(m[1]))
	}
	return out
}

// TestDevLinkPlaysAWholeAdmission opens the link that serve --dev prints, as a
// person would, and reads the last page. It needs nothing but a temporary
// file (CU-22).
func TestDevLinkPlaysAWholeAdmission(t *testing.T) {
	p, issuer, password, socket, link := devServer(t)
	if strings.HasPrefix(link, "http://127.0.0.1") == strings.HasPrefix(issuer, "http://127.0.0.1") {
		t.Errorf("issuer %s and callback %s share a loopback name; cookies ignore ports (trap F9)", issuer, link)
	}
	resp, body := newPerson(t, devPerson, password).play(link)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("last page: %d\n%s", resp.StatusCode, body)
	}
	var claims map[string]any
	if c := marked(body, "claims"); len(c) != 1 || json.Unmarshal([]byte(c[0]), &claims) != nil {
		t.Fatalf("no claims on the last page:\n%s", body)
	}
	for k, want := range map[string]any{"iss": issuer, "aud": "http://127.0.0.1:9000/mcp", "client_id": demoClientID, "sub": devPerson, "scope": "mcp:read mcp:write"} {
		if claims[k] != want {
			t.Errorf("claim %s = %v, want %v", k, claims[k], want)
		}
	}
	var events, ids []string
	for _, text := range marked(body, "record") {
		var r struct {
			Event     string `json:"event"`
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Errorf("record %q: %v", text, err)
		}
		events, ids = append(events, r.Event), append(ids, r.RequestID)
	}
	want := "admission.decided admission.decided admission.decided consent.granted admission.decided token.issued"
	if got := strings.Join(events, " "); !strings.Contains(got, "consent.granted") || !strings.Contains(got, "token.issued") || strings.Count(got, "admission.decided") < 3 {
		t.Errorf("records on the page = %s, want like %s", got, want)
	}
	stdout, stderr, code := output(t, "audit", "why", ids[0], "--socket", socket)
	if code != 0 || !strings.Contains(stdout, demoClientID) || !strings.Contains(stdout, "anyone") {
		t.Errorf("audit why: exit %d\n%s%s", code, stdout, stderr)
	}
	if again, body := newPerson(t, devPerson, password).get(resp.Request.URL.String()); again.StatusCode != http.StatusBadRequest {
		t.Errorf("the callback took an answer twice: %d\n%s", again.StatusCode, body)
	}
	p.stop(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		errs, _ := p.errs.text()
		t.Errorf("graceful stop: exit %d\n%s", code, errs)
	}
}

func TestDevRefusesPublicAddressesAndConfigurations(t *testing.T) {
	for _, args := range [][]string{
		{"serve", "--dev", "--listen", "0.0.0.0:0"},
		{"serve", "--dev", "--listen", ":8080"},
		{"serve", "--dev", "--config", "guestlist.yaml"},
		{"serve", "--listen", "127.0.0.1:0"},
		{"serve", "--dev", "--policies", "/nowhere/at/all"},
		{"serve", "--dev", "--map-host", "nonsense"},
		{"serve", "--dev", "extra"},
	} {
		stdout, stderr, code := output(t, args...)
		if code != exitError || stderr == "" || stdout != "" {
			t.Errorf("%q: exit %d, stdout %q, stderr %q, want 1 and an error alone", args, code, stdout, stderr)
		}
	}
}
