package main

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guestlist/server/servertest"
)

// G-01 CU-21: of what strangers and operators write to a running server, its
// log, its copies of the decision log and its commands show text: no line more,
// no control character, no formula. The secrets of its configuration, whose
// receivers cannot be reached, are in none of them.
func TestHostileProcess(t *testing.T) {
	s := newSite(t)
	secrets := []string{"canary-exporter-token-0123456789", "canary-webhook-secret-0123456789", "canary-query-of-a-receiver", "canary-environment-0123456789"}
	s.write("token", secrets[0]+"\n")
	s.write("hook", secrets[1]+"\n")
	s.add("log: {level: debug}\n" +
		"decision_log: {file: " + filepath.Join(s.dir, "records.jsonl") + ", exporters: [{name: dead, type: http, url: \"http://127.0.0.1:1/in?key=" + secrets[2] + "\", token_file: token, batch_wait: 10ms}]}\n" +
		"webhooks: [{url: \"http://127.0.0.1:1/hook?key=" + secrets[2] + "\", secret_file: hook}]\n" +
		"tracing: {endpoint: \"http://127.0.0.1:1/v1/traces?key=" + secrets[2] + "\"}\n")
	t.Setenv("TEST_CANARY", secrets[3])
	p := s.serve()
	strs := servertest.HostileStrings()
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
			resp, err := stay.Get(u.String())
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		if reason := strings.ReplaceAll(h.Text[:min(len(h.Text), 200)], "\x00", ""); i%3 == 0 {
			stdout, stderr, _ := output(t, "client", "block", "https://blocked.example/x", "--reason="+reason, "--yes", "--config", s.config)
			wantQuiet(t, h.Name, stdout+stderr)
		}
	}
	var all strings.Builder
	for _, args := range [][]string{
		{"audit", "ls"}, {"audit", "ls", "-o", "ndjson"}, {"client", "list"}, {"report", "clients"}, {"status"}, {"client", "block", "--list"}, {"policy", "list"}, {"audit", "export"},
	} {
		stdout, stderr, _ := output(t, append(args, "--config", s.config)...)
		wantQuiet(t, strings.Join(args, " "), stdout+stderr)
		all.WriteString(stdout + stderr)
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
	p.stop(syscall.SIGTERM)
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

// wantQuiet checks what reaches a terminal.
func wantQuiet(t *testing.T, what, text string) {
	t.Helper()
	if loud := servertest.Loud(strings.ReplaceAll(text, "\n", "")); loud != "" {
		t.Errorf("%s prints %s", what, loud)
	}
}
