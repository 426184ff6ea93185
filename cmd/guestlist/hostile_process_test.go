package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"guestlist/server/servertest"
)

// G-01 CU-21: of what strangers and operators write to a running server, its
// log, its copies of the decision log and its commands show text: no line more,
// no control character, no formula. The secrets of its configuration, whose
// receivers cannot be reached but for a webhook's, are in none of them, nor in
// what the webhook or monitoring gets.
func TestHostileProcess(t *testing.T) {
	s := newSite(t)
	secrets := []string{"canary-exporter-token-0123456789", "canary-webhook-secret-0123456789", "canary-query-of-a-receiver", "canary-environment-0123456789"}
	told := make(chan []byte, 1000)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if b, err := io.ReadAll(r.Body); err == nil {
			told <- b
		}
	}))
	t.Cleanup(hook.Close)
	s.write("token", secrets[0]+"\n")
	s.write("hook", secrets[1]+"\n")
	s.add("log: {level: debug}\n" +
		"decision_log: {file: " + filepath.Join(s.dir, "records.jsonl") + ", exporters: [{name: dead, type: http, url: \"http://127.0.0.1:1/in?key=" + secrets[2] + "\", token_file: token, batch_wait: 10ms}]}\n" +
		"webhooks: [{url: \"" + hook.URL + "/hook?key=" + secrets[2] + "\", secret_file: hook}]\n" +
		"tracing: {endpoint: \"http://127.0.0.1:1/v1/traces?key=" + secrets[2] + "\"}\n")
	t.Setenv("TEST_CANARY", secrets[3])
	p := s.serve()
	strs := servertest.HostileStrings()
	note, members := "", map[string]any{"client_id": processClient, "client_name": "Example", "redirect_uris": []string{"http://127.0.0.1/callback"}}
	for _, h := range strs {
		if len(note)+len(h.Text) < 1500 {
			note += h.Text
		}
	}
	members["x_note"] = strings.ReplaceAll(note, "\x00", "") // which no document can have
	document, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	body := string(document)
	s.body.Store(&body)
	var all strings.Builder
	shows := func(want string, args ...string) {
		t.Helper()
		stdout, stderr, _ := output(t, append(args, "--config", s.config)...)
		wantQuiet(t, strings.Join(args, " "), stdout+stderr)
		if !strings.Contains(stdout, want) {
			t.Errorf("%s does not show %q: it proves nothing\n%.600s%.600s", strings.Join(args, " "), want, stdout, stderr)
		}
		all.WriteString(stdout + stderr)
	}
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for i, h := range strs {
		for _, name := range []string{"client_id", "redirect_uri", "scope", "state"} {
			u, err := url.Parse(s.authorizeLink())
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			q.Set(name, h.Text[:min(len(h.Text), 2000)])
			u.RawQuery = q.Encode()
			req, err := http.NewRequest("GET", u.String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			agent := strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return -1 // no header can have it
				}
				return r
			}, q.Get(name))
			req.Header.Set("User-Agent", "agent "+agent[:min(len(agent), 300)])
			resp, err := stay.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if name == "state" && i%4 == 0 && resp.StatusCode == http.StatusOK {
				shows("agent ", "audit", "why", resp.Header.Get("X-Request-Id"), "--verbose")
			}
		}
		if reason := strings.ReplaceAll(h.Text[:min(len(h.Text), 200)], "\x00", ""); i%3 == 0 {
			shows("blocked.example", "client", "block", "--host", "blocked.example", "--reason=why "+reason, "--yes")
			shows("why ", "client", "blocks")
		}
	}
	resp, page := s.alice().play(s.authorizeLink())
	if status, answer := s.exchange(code(t, resp, page)); status != http.StatusOK {
		t.Fatalf("exchange: %d %s", status, answer)
	}
	for _, args := range [][]string{
		{"admission.decided", "audit", "ls"}, {"agent ", "audit", "ls", "-o", "ndjson"}, {processClient, "client", "list"}, {processClient, "report", "clients"},
		{"issuer", "status"}, {"example", "policy", "list"}, {"agent ", "audit", "export"}, {"agent ", "audit", "export", "--view", "opa"},
		{servertest.HostileMark, "audit", "why", processClient, "--verbose"}, {servertest.HostileMark, "audit", "why", processClient, "-o", "json"},
		{"admitted", "audit", "diff", processClient, "--from", "1h"}, {"Example", "client", "show", processClient},
	} {
		shows(args[0], args[1:]...)
	}
	stdout, _, _ := output(t, "audit", "ls", "-o", "csv", "--config", s.config)
	wantQuiet(t, "audit ls -o csv", stdout)
	rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
	if err != nil || len(rows) < len(strs) {
		t.Errorf("audit ls -o csv: %d rows, %v", len(rows), err)
	}
	for _, cell := range strings.Split(strings.ReplaceAll(stdout, "\n", ","), ",") {
		if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
			t.Errorf("a cell begins like a formula: %q", cell)
		}
	}
	all.WriteString(quietMetrics(t, filepath.Join(s.dir, "admin.sock")))
	all.Write(<-told) // there is one: operators blocked
	p.stop(syscall.SIGTERM)
	hook.Close()
	close(told)
	for b := range told {
		wantTold(t, b)
		all.Write(b)
	}
	log, _ := p.errs.text()
	servertest.CheckLog(t, log)
	records, err := os.ReadFile(filepath.Join(s.dir, "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(records), "\n"), "\n")
	for _, line := range lines {
		servertest.CheckRecord(t, []byte(line))
	}
	if len(lines) < 3*len(strs) {
		t.Errorf("%d records are too few to prove anything", len(lines))
	}
	for _, secret := range secrets {
		if strings.Contains(log+string(records)+all.String(), secret) {
			t.Errorf("%s is in what the server or its commands say", secret)
		}
	}
}

// wantTold checks what a webhook gets: one JSON object of a line, bounded.
func wantTold(t *testing.T, b []byte) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil || len(b) > 256<<10 {
		t.Errorf("a webhook gets %d bytes, %v: %.600s", len(b), err, b)
	}
	wantQuiet(t, "a webhook", string(b))
}

// metricLine is a sample with labels of closed sets.
var metricLine = regexp.MustCompile(`^[a-z_]+(\{([a-z_]+="[A-Za-z0-9_./:+() -]*",?)+\})? [-+0-9.eE]+$|^[a-z_]+(\{([a-z_]+="[A-Za-z0-9_./:+() -]*",?)+\})? NaN$`)

// quietMetrics returns what monitoring gets, each line of which is checked.
func quietMetrics(t *testing.T, socket string) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	resp, err := c.Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(b), "guestlist_") {
		t.Fatalf("/metrics = %d, %v, %.200s", resp.StatusCode, err, b)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "# ") && !metricLine.MatchString(line) {
			t.Errorf("a line of metrics is %q", line)
		}
	}
	if strings.Contains(string(b), servertest.HostileMark) || strings.Contains(string(b), "blocked.example") {
		t.Errorf("the metrics have what was sent:\n%s", b)
	}
	return string(b)
}

// wantQuiet checks what reaches a terminal.
func wantQuiet(t *testing.T, what, text string) {
	t.Helper()
	if loud := servertest.Loud(strings.ReplaceAll(text, "\n", "")); loud != "" {
		t.Errorf("%s prints %s", what, loud)
	}
}
