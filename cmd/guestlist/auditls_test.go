package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
	"guestlist/store/bolt"
)

// TestAuditNames: a name that no record can have is refused with the one that
// was meant, and so is a page or a format that cannot be.
func TestAuditNames(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	for args, want := range map[string]string{
		"ls --outcome refuse":                   `--outcome "refuse": no record can have it (did you mean refused?)`,
		"ls --event tokens.issued":              "(did you mean token.issued?)",
		"ls --event client.create":              "(did you mean client.created?)",
		"ls --event tokens.":                    "no record can have it",
		"ls --reason no_policy_match":           "(did you mean no_policy_matched?)",
		"ls --outcome xyz":                      "want one of admitted, done",
		"ls --limit 0":                          "want a number from 1 to 1000",
		"ls --follow -o csv":                    "want table or ndjson",
		"export --view xml":                     `--view "xml": want native or opa`,
		"export -o csv":                         "want ndjson",
		"export --from soon":                    "--from",
		"export --file " + filepath.Dir(socket): "--file: ",
	} {
		if out, errs, code := ask(append(strings.Fields("audit "+args), "--socket", socket)...); code != exitError || out != "" || !strings.Contains(errs, want) {
			t.Errorf("audit %s = exit %d, %q, %q, want %q", args, code, out, errs, want)
		}
	}
}

// TestAuditPages: a page says where the next one begins.
func TestAuditPages(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	for _, test := range []struct{ args, first, errs string }{
		{"--limit 2", `"seq":5`, "there are older records that fit: add --before 5\n"},
		{"--limit 1 --event client.refused", `"seq":3`, "there are older records that fit: add --before 3\n"},
		{"--limit 2 --before 5", `"seq":3`, "there are older records that fit: add --before 3\n"},
		{"--limit 2 --before 3", `"seq":1`, ""},
		{"--limit 4 --after 0", `"seq":1`, "there are newer records that fit: add --after 4\n"},
		{"--limit 4 --after 4", `"seq":5`, ""},
	} {
		out, errs, code := ask(append(strings.Fields("audit ls -o ndjson "+test.args), "--socket", socket)...)
		if code != 0 || !strings.HasPrefix(out, "{"+test.first+",") || errs != test.errs {
			t.Errorf("audit ls %s = exit %d, %.30q, %q, want %q first and %q", test.args, code, out, errs, test.first, test.errs)
		}
	}
}

// TestAuditNone: an empty list says what is known of it, and is no error.
func TestAuditNone(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	for args, want := range map[string]string{
		"--outcome refused": "",
		"--client https://agents.example/cimd/cliemt.json":  `no record has the client "https://agents.example/cimd/cliemt.json" (did you mean ` + exampleClient + "?)\n",
		"--host agent.example":                              `no record has the host "agent.example" (did you mean agents.example?)` + "\n",
		"--policy agent":                                    `no record has the policy "agent" (did you mean agents?)` + "\n",
		"--label parnter":                                   `no record has the label "parnter" (did you mean partner?)` + "\n",
		"--grant g":                                         `no record has the grant "g"` + "\n",
		"--person AAAAAAAAAAAAAAAAAAAAAA":                   `no record has the person "AAAAAAAAAAAAAAAAAAAAAA"` + "\n",
		"--event log.held --outcome refused":                `no record has the event "log.held"` + "\n",
		"--event request.refused --client " + exampleClient: "each of these has records, and no record has all of them\n",
		"--event request.refused --until 2026-11-20":        "no record that fits is in that range: the last one is 6, of 2026-11-20T11:00:00Z\n",
		"--since 2026-11-21":                                "no record that fits is in that range: the last one is 6, of 2026-11-20T11:00:00Z\n",
		"--before 1 -o json":                                "no record that fits is in that range: the last one is 6, of 2026-11-20T11:00:00Z\n",
		"--after 6":                                         "",
		"--after 6 --policy agent":                          `no record has the policy "agent" (did you mean agents?)` + "\n",
	} {
		out, errs, code := ask(append(strings.Fields("audit ls "+args), "--socket", socket)...)
		if code != 0 || errs != want || (strings.Count(out, "\n") > 1) != (args == "--outcome refused") {
			t.Errorf("audit ls %s = exit %d, %q, %q, want %q", args, code, out, errs, want)
		}
	}
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
	if _, errs, code := ask("audit", "ls", "--socket", serveAdmin(t, s, filepath.Join(dir, "s"))); code != 0 || errs != "the log has no record yet\n" {
		t.Errorf("audit ls of an empty log = exit %d, %q", code, errs)
	}
}

// TestAuditExport: a range in pages, cut short and gone on with, into a file
// that is never overwritten.
func TestAuditExport(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	whole, errs, code := ask("audit", "export", "--socket", socket)
	if code != 0 || strings.Count(whole, "\n") != 6 || errs != "6 records, seq 1 to 6\n" {
		t.Fatalf("audit export = exit %d, %q, %q, want six records", code, whole, errs)
	}
	file := filepath.Join(t.TempDir(), "log.ndjson")
	if _, errs, code := ask("audit", "export", "--socket", socket, "--to", "2026-11-20T10:00:01Z", "--file", file); code != 0 {
		t.Fatalf("audit export --file = exit %d, %s", code, errs)
	}
	if _, errs, code := ask("audit", "export", "--socket", socket, "--file", file); code != exitError || !strings.Contains(errs, "exists") {
		t.Errorf("audit export to a file that is there = exit %d, %q, want a refusal", code, errs)
	}
	part, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(whole, string(part)) {
		t.Fatalf("the first part = %q, %v, want the beginning of the whole", part, err)
	}
	done := bytes.Count(part, []byte("\n"))
	if _, errs, code := ask("audit", "export", "--socket", socket, "--after", fmt.Sprint(max(done, 1)), "--file", file); code != 0 || !strings.HasSuffix(errs, " to 6\n") {
		t.Errorf("audit export --after = exit %d, %q", code, errs)
	}
	if got, err := os.ReadFile(file); err != nil || done > 0 && string(got) != whole {
		t.Errorf("the two parts = %q, %v, want the whole", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v, want 0600", info.Mode(), err)
	}
	out, errs, code := ask("audit", "export", "--socket", socket, "--view", "opa", "--after", "5")
	var event struct {
		Path   string
		ReqID  int `json:"req_id"`
		Custom map[string]any
	}
	if err := json.Unmarshal([]byte(out), &event); err != nil || code != 0 || event.ReqID != 6 || event.Custom["event"] != "request.refused" || errs != "1 record, seq 6 to 6\n" {
		t.Errorf("audit export --view opa = exit %d, %q, %q, %v", code, out, errs, err)
	}
	if out, errs, code := ask("audit", "export", "--socket", socket, "--after", "6"); code != 0 || out != "" || errs != "0 records\n" {
		t.Errorf("audit export behind the end = exit %d, %q, %q", code, out, errs)
	}
}

// TestAuditExportGoesOn: a file is only added to where the result is one export:
// in one view, each record once, each on a line of its own.
func TestAuditExportGoesOn(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	whole, _, _ := ask("audit", "export", "--socket", socket)
	opa, _, _ := ask("audit", "export", "--view", "opa", "--socket", socket)
	if strings.Count(whole, "\n") != 6 || strings.Count(opa, "\n") != 6 {
		t.Fatalf("audit export = %q and %q, want six records", whole, opa)
	}
	first := func(n int, export string) string { return strings.Join(strings.SplitAfter(export, "\n")[:n], "") }
	long := `{"seq":2,"event":"` + strings.Repeat("x", 200<<10) + "\"}\n"
	half := first(2, whole) + `{"seq":3,"deci`
	for _, test := range []struct {
		name, has, args string
		want            string // what the file has then; empty: refused
		errs            string
	}{
		{"good", first(2, whole), "--after 2", whole, "4 records, seq 3 to 6"},
		{"good, opa", first(2, opa), "--after 2 --view opa", opa, "4 records, seq 3 to 6"},
		{"empty", "", "--after 5", strings.SplitAfter(whole, "\n")[5], "1 record"},
		{"a whole record without its end", strings.TrimSuffix(first(2, whole), "\n"), "--after 2", whole, "4 records"},
		{"a long last line", long, "--after 5", long + strings.SplitAfter(whole, "\n")[5], "1 record"},
		{"a record that was damaged", `{"seq":5,"error":"x"}` + "\n", "--after 5", `{"seq":5,"error":"x"}` + "\n" + strings.SplitAfter(whole, "\n")[5], "1 record"},
		{"another view", first(2, whole), "--after 2 --view opa", "", "is in the view native. Remedy: go on with --view native, or name another file"},
		{"another view, the other way", first(2, opa), "--after 2", "", "is in the view opa. Remedy: go on with --view opa"},
		{"half a line", half, "--after 2", "", fmt.Sprintf("ends with half a line. Remedy: truncate -s %d ", len(first(2, whole)))},
		{"half a line alone", `{"seq"`, "--after 2", "", "Remedy: truncate -s 0 "},
		{"records again", first(4, whole), "--after 2", "", "has the records up to 4 already. Remedy: go on with --after 4"},
		{"something else", "a note\n", "--after 2", "", "is no record. Remedy: name another file"},
	} {
		file := filepath.Join(t.TempDir(), "log.ndjson")
		if err := os.WriteFile(file, []byte(test.has), 0o600); err != nil {
			t.Fatal(err)
		}
		want, wantCode := test.want, 0
		if want == "" {
			want, wantCode = test.has, exitError
		}
		_, errs, code := ask(append(strings.Fields("audit export "+test.args), "--socket", socket, "--file", file)...)
		if got, err := os.ReadFile(file); err != nil || string(got) != want || code != wantCode || !strings.Contains(errs, test.errs) {
			t.Errorf("%s: audit export %s = exit %d, %q, want %d and %q; the file has %d bytes, want %d", test.name, test.args, code, errs, wantCode, test.errs, len(got), len(want))
		}
	}
}

// TestAuditExportPages: a log of several pages comes out once, in order.
func TestAuditExportPages(t *testing.T) {
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
	const n = 2*exportPage + 1
	u := s.Begin()
	for range n {
		u.Append(decisionlog.Record{DecisionID: "d", Timestamp: decided, Event: "admission.decided"})
	}
	if err := s.Commit(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	var out, errs bytes.Buffer
	code := run(ctx, []string{"audit", "export", "--socket", serveAdmin(t, s, filepath.Join(dir, "s"))}, strings.NewReader(""), &out, &errs)
	i := 0
	for line := range strings.Lines(out.String()) {
		if i++; i > n || !strings.HasPrefix(line, fmt.Sprintf(`{"seq":%d,`, i)) {
			t.Fatalf("line %d = %.60q, want the record of that number", i, line)
		}
	}
	if code != 0 || i != n || errs.String() != fmt.Sprintf("%d records, seq 1 to %d\n", n, n) {
		t.Errorf("audit export = exit %d, %d lines, %q, want %d", code, i, errs.String(), n)
	}
}

// TestAuditFollow: records are shown as they are written, each once, over a
// restart of the server.
func TestAuditFollow(t *testing.T) {
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
	write := func(ids ...string) {
		u := s.Begin()
		for _, id := range ids {
			u.Append(decisionlog.Record{DecisionID: id, Timestamp: decided, Event: "admission.decided", Outcome: "refused"})
		}
		if err := s.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "s")
	serve := func() *http.Server {
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
		return srv
	}
	srv := serve()
	write("one")
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	errs, end := &firstWrite{got: make(chan string, 1)}, make(chan int, 1)
	go func() {
		end <- run(ctx, []string{"audit", "ls", "--follow", "-o", "ndjson", "--socket", socket}, strings.NewReader(""), w, errs)
		w.Close()
	}()
	lines := json.NewDecoder(r)
	next := func(want string) {
		t.Helper()
		var got struct {
			DecisionID string `json:"decision_id"`
		}
		if err := lines.Decode(&got); err != nil || got.DecisionID != want {
			t.Fatalf("next record = %q, %v, want %q", got.DecisionID, err, want)
		}
	}
	next("one")
	write("two")
	next("two")
	srv.Close()
	if got := <-errs.got; !strings.HasSuffix(got, "; waiting for it\n") {
		t.Errorf("without the server it says %q", got)
	}
	write("three", "and three")
	srv = serve()
	t.Cleanup(func() { srv.Close() })
	next("three")
	next("and three")
	write("four")
	next("four")
	stop()
	if code := <-end; code != 0 {
		t.Errorf("audit ls --follow = exit %d after an interrupt, want 0", code)
	}
}

// firstWrite hands out what is written first.
type firstWrite struct{ got chan string }

// Write implements io.Writer.
func (f *firstWrite) Write(p []byte) (int, error) {
	select {
	case f.got <- string(p):
	default:
	}
	return len(p), nil
}

// TestAuditSheet: what a spreadsheet gets of a record has what people sort by,
// and a cell that begins a formula is text (CU-21).
func TestAuditSheet(t *testing.T) {
	records := []json.RawMessage{
		json.RawMessage(`{"seq":7,"timestamp":"2026-11-20T10:00:00Z","event":"consent.granted","outcome":"granted","client_id":"https://c.example/=1+1","policy":["a","b"],"subject":"pseudo","grant_id":"g","actor":"=cmd|'/c calc'!A1","request_id":"r","decision_id":"d"}`),
		json.RawMessage(`{"seq":8,"error":"the checksum is wrong"}`),
	}
	sheet, err := recordTable(records)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := sheet.print(&out, "csv"); err != nil {
		t.Fatal(err)
	}
	want := strings.Join(recordSheet, ",") + "\n" +
		"7,2026-11-20T10:00:00Z,consent.granted,granted,,,,https://c.example/=1+1,a b,pseudo,g,'=cmd|'/c calc'!A1,,r,d,\n" +
		"8,,,,,,,,,,,,,,,the checksum is wrong\n"
	if out.String() != want {
		t.Errorf("csv = %s\nwant %s", out.String(), want)
	}
}

// TestReportClientsCommand: a page with totals, a sheet, and the whole (G-28).
func TestReportClientsCommand(t *testing.T) {
	t.Setenv("GUESTLIST_CONFIG", "")
	socket := adminSocket(t)
	out, errs, code := ask("report", "clients", "--socket", socket)
	if code != 0 || !strings.HasSuffix(out, "\n\n2 clients, 0 people, 0 grants, 0 offline\n") || errs != "" {
		t.Errorf("report clients = exit %d, %q, %q", code, out, errs)
	}
	if r, bad := unsafe(out); bad {
		t.Errorf("report clients holds %s", r)
	}
	sheet, _, code := ask("report", "clients", "--label", "partner", "-o", "csv", "--socket", socket)
	if code != 0 || !strings.HasPrefix(sheet, strings.Join(reportSheet, ",")+"\n"+exampleClient+",Agent,") || strings.Count(sheet, "\n") != 2 {
		t.Errorf("report clients -o csv = exit %d, %q", code, sheet)
	}
	whole, _, code := ask("report", "clients", "-o", "json", "--socket", socket)
	var got admin.Report
	if err := json.Unmarshal([]byte(whole), &got); err != nil || code != 0 || got.Totals.Clients != 2 || len(got.Clients) != 2 {
		t.Errorf("report clients -o json = exit %d, %q, %v", code, whole, err)
	}
}
