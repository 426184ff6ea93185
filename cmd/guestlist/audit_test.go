package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store"
	"guestlist/store/bolt"
)

// nastyClient is an identifier that no URL parser gave: what a damaged or
// hostile log could hold.
const nastyClient = "https://evil.example/" + nasty

// adminSocket serves an admin API about two clients and a small log.
func adminSocket(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cmd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	u := s.Begin()
	for _, c := range []broker.Client{
		{ID: exampleClient, Document: cimd.Document{ClientID: exampleClient, ClientName: "Agent", RedirectURIs: []string{"https://agents.example/cb"}}, Policy: []string{"agents"}, Tags: []string{"partner"}, Revision: "sha256:rev", DocumentSHA256: "aabb", Published: []byte(`{"client_name": "Agent"}`), ExpiresAt: decided.Add(time.Hour)},
		{ID: nastyClient, Document: cimd.Document{ClientID: nastyClient, ClientName: nasty}, Policy: []string{nasty}, Tags: []string{nasty}, Revision: nasty, DocumentSHA256: nasty, ExpiresAt: decided},
	} {
		c.Registration, c.Incarnation, c.CreatedAt, c.FetchedAt = "cimd", 7, decided, decided
		c.FreshUntil, c.UsableUntil, c.DocumentBytes = decided.Add(time.Minute), decided.Add(time.Hour), len(c.Published)
		u.CreateClient(c)
	}
	records := append(append(denied(), refused()...), admitted(t)...)
	records = append(records, decisionlog.Record{
		DecisionID: "d-nasty", RequestID: "r-nasty", Timestamp: decided.Add(time.Hour), Event: "request.refused", Outcome: "refused",
		Reason: nasty, ClientID: nastyClient, Detail: nasty, Source: nasty,
	})
	for _, r := range records {
		u.Append(r)
	}
	if err := s.Commit(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	return serveAdmin(t, s, filepath.Join(dir, "s"))
}

// serveAdmin serves the admin API on a socket until the test ends.
func serveAdmin(t *testing.T, s store.Store, socket string) string {
	t.Helper()
	h, err := admin.New(admin.Config{Store: s, Flush: func(context.Context) error { return nil }, Now: func() time.Time { return decided }})
	if err != nil {
		t.Fatal(err)
	}
	l, err := admin.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ConnContext: admin.ConnContext}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return socket
}

// ask runs the program in this process.
func ask(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func TestAskingARunningServer(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	for _, test := range []struct{ name, args string }{
		{"client_list", "client list"},
		{"client_show", "client show " + exampleClient},
		{"audit_ls", "audit ls"},
		{"audit_ls_filtered", "audit ls --client " + exampleClient + " --event admission.decided --outcome refused --since 2026-11-20 --until 2026-11-21T00:00:00Z --limit 1"},
		{"audit_why", "audit why r-denied"},
		{"audit_why_client", "audit why " + exampleClient},
		{"audit_why_verbose", "audit why d-in --verbose"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, errs, code := ask(append(strings.Fields(test.args), "--socket", socket)...)
			if code != 0 || errs != "" && !strings.HasPrefix(errs, "there are older records") {
				t.Fatalf("%s = exit %d, %s", test.args, code, errs)
			}
			compareGolden(t, test.name, out)
		})
	}
}

func TestMachineFormats(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	for _, test := range []struct {
		args  string
		lines int // of ndjson
	}{
		{"client list", 2},
		{"client show " + exampleClient, 1},
		{"audit ls", 6},
		{"audit why r-nasty", 1},
	} {
		args := append(strings.Fields(test.args), "--socket", socket, "-o")
		out, errs, code := ask(append(args, "ndjson")...)
		if n := strings.Count(out, "\n"); code != 0 || n != test.lines {
			t.Errorf("%s -o ndjson = exit %d, %d lines, want %d: %s%s", test.args, code, n, test.lines, out, errs)
		}
		for line := range strings.Lines(out) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s -o ndjson: %q is not JSON", test.args, line)
			}
		}
		out, errs, code = ask(append(args, "json")...)
		if code != 0 || !json.Valid([]byte(out)) {
			t.Errorf("%s -o json = exit %d, %s%s", test.args, code, out, errs)
		}
		if r, bad := unsafe(out); bad {
			t.Errorf("%s -o json holds %s", test.args, r)
		}
		if _, errs, code = ask(append(args, "xml")...); code != exitError || !strings.Contains(errs, "output format") {
			t.Errorf("%s -o xml = exit %d, %q, want exit 1", test.args, code, errs)
		}
	}
}

func TestWhyAsJSON(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	out, _, _ := ask("audit", "why", "r-denied", "-o", "json", "--socket", adminSocket(t))
	var got struct {
		RequestID    string `json:"request_id"`
		PublicReason string `json:"public_reason"`
		Reason       string `json:"reason"`
		Records      []struct {
			Seq        uint64 `json:"seq"`
			DecisionID string `json:"decision_id"`
			Detail     string `json:"detail"`
		} `json:"records"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got.RequestID != "r-denied" || got.PublicReason != "client_not_admitted" || got.Reason != "policy_denied" || len(got.Records) != 2 {
		t.Fatalf("audit why -o json = %+v", got)
	}
	if r := got.Records[1]; r.Seq != 2 || r.DecisionID != "d-denied" || r.Detail == "" {
		t.Errorf("second record = %+v, want seq 2, d-denied and its detail", r)
	}
}

func TestHostileRecordsKeepTheirLines(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	for args, lines := range map[string]int{"client list": 3, "audit ls": 7, "audit why r-nasty": 0} {
		out, _, code := ask(append(strings.Fields(args), "--socket", socket)...)
		if n := strings.Count(out, "\n"); code != 0 || lines != 0 && n != lines {
			t.Errorf("%s = exit %d, %d lines, want %d:\n%s", args, code, n, lines, out)
		}
		if r, bad := unsafe(out); bad {
			t.Errorf("%s holds %s:\n%s", args, r, out)
		}
	}
	out, errs, code := ask("client", "show", nastyClient, "--socket", socket)
	if r, bad := unsafe(out); bad || code != 0 {
		t.Errorf("client show = exit %d, holds %s: %s\n%s", code, r, errs, out)
	}
}

func TestQuestionsWithoutAnswer(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	missing := filepath.Join(filepath.Dir(socket), "missing")
	for _, test := range []struct{ name, args, want string }{
		{"unknown id", "audit why nothing --socket " + socket, `no record has the id "nothing"`},
		{"unknown client", "client show https://nobody.example/ --socket " + socket, `no client has the id "https://nobody.example/"`},
		{"unknown client's admissions", "audit why https://nobody.example/ --socket " + socket, `no record has the id "https://nobody.example/"`},
		{"no server", "audit ls --socket " + missing, "no server answers on " + missing},
		{"no server named", "client list", "--socket"},
		{"no such configuration", "client list --config " + missing, missing},
		{"since", "audit ls --since soon --socket " + socket, "--since"},
		{"until", "audit ls --until soon --socket " + socket, "--until"},
		{"limit", "audit ls --limit 0 --socket " + socket, "--limit"},
		{"limit of the server", "audit ls --limit 1001 --socket " + socket, "1 to 1000"},
		{"unknown command", "audit whose", "whose"},
		{"no id", "audit why --socket " + socket, "one argument"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, errs, code := ask(strings.Fields(test.args)...)
			if code != exitError || out != "" || !strings.HasPrefix(errs, "guestlist: ") || !strings.Contains(errs, test.want) || strings.Count(errs, "\n") != 1 {
				t.Errorf("%s = exit %d, %q, %q, want exit 1 and %q", test.args, code, out, errs, test.want)
			}
		})
	}
}

func TestMoment(t *testing.T) {
	for in, want := range map[string]time.Time{
		"":                     {},
		"90m":                  decided.Add(-90 * time.Minute),
		"2d":                   decided.Add(-48 * time.Hour),
		"2026-11-19":           time.Date(2026, 11, 19, 0, 0, 0, 0, time.UTC),
		"2026-11-19T10:00:00Z": time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC),
	} {
		if got, err := moment("--since", in, decided); err != nil || !got.Equal(want) {
			t.Errorf("moment(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"19.11.2026", "+2h", "-2h"} {
		if got, err := moment("--since", in, decided); err == nil {
			t.Errorf("moment(%q) = %v, nil, want an error", in, got)
		}
	}
}

func TestClientListReadsEveryPage(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	dir, err := os.MkdirTemp("", "cmd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	const rows = 2*clientPageSize + 1
	u := s.Begin()
	for i := range rows {
		u.CreateClient(broker.Client{ID: "https://a.example/" + strconv.Itoa(10000+i), Incarnation: 1, ExpiresAt: decided})
	}
	if err := s.Commit(context.Background(), u); err != nil {
		t.Fatal(err)
	}
	out, errs, code := ask("client", "list", "-o", "ndjson", "--socket", serveAdmin(t, s, filepath.Join(dir, "s")))
	if n := strings.Count(out, "\n"); code != 0 || n != rows {
		t.Errorf("client list = exit %d, %d rows, want %d: %s", code, n, rows, errs)
	}
}
