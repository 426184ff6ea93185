package main

import (
	"encoding/csv"
	"encoding/json"
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
