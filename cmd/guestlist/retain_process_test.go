package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
	"guestlist/store/bolt"
)

// The clients of old records.
const (
	oldClient  = "https://old.example/client.json"
	heldClient = "https://held.example/client.json"
)

// refusedHours ago, each of these clients was refused.
func (s *site) refusedHours(ago int, clients ...string) {
	s.t.Helper()
	st, err := bolt.Open(bolt.Config{Path: filepath.Join(s.dir, "guestlist.db")})
	if err != nil {
		s.t.Fatal(err)
	}
	u := st.Begin()
	for _, c := range clients {
		u.Append(decisionlog.Record{
			DecisionID: broker.NewID(), RequestID: broker.NewID(), Timestamp: time.Now().Add(-time.Duration(ago) * time.Hour), Event: decisionlog.EventAdmissionDecided,
			Outcome: decisionlog.OutcomeRefused, Reason: "no_policy_matched", PublicReason: "client_not_admitted", Path: "admission/v1", ClientID: c,
			Phases: []decisionlog.Phase{{Phase: "url", Reason: "no_policy_matched"}}, Source: "192.0.2.99", Detail: "canary of " + c, Input: json.RawMessage(`{"a":1}`),
		})
	}
	if err := st.Commit(s.t.Context(), u); err != nil {
		s.t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// command runs a command that has to work, about this site.
func (s *site) command(line string) string {
	s.t.Helper()
	stdout, stderr, code := output(s.t, append(strings.Fields(line), "--config", s.config)...)
	if code != 0 {
		s.t.Fatalf("guestlist %s: exit %d, %s%s", line, code, stdout, stderr)
	}
	return stdout
}

// awaitErased waits until the newest record about a client has no body.
func (s *site) awaitErased(client string) {
	s.t.Helper()
	eventually(s.t, "the body of "+client+" is gone", func() bool {
		list := s.audit("--client", client)
		return len(list) > 0 && list[len(list)-1]["body_erased"] == true
	})
}

// G-01, G-04: a running server erases what is past its age, keeps what a legal
// hold names, and erases that too when the hold is dropped. Every command says
// so, and calls nothing damaged.
func TestRetainInProcess(t *testing.T) {
	s := newSite(t)
	s.refusedHours(3, oldClient, heldClient)
	p := s.serve()
	held := s.command("audit hold add --host held.example --reason case-7")
	id := strings.Fields(held)[1]
	if want := "hold " + id + " keeps the bodies of records with host held.example\n"; held != want {
		t.Errorf("hold add says %q, want %q", held, want)
	}
	if list := s.command("audit hold list"); !strings.Contains(list, id) || !strings.Contains(list, "host held.example") || !strings.Contains(list, "case-7") {
		t.Errorf("hold list says:\n%s", list)
	}
	first := s.audit("--client", oldClient)[0]["decision_id"].(string)
	p.stop(syscall.SIGTERM)
	s.add("decision_log:\n  retain: {strangers: 1h, people: 400d}\n")
	p = s.serve()
	s.awaitErased(oldClient)
	if got := s.audit("--client", heldClient)[0]; got["body_erased"] != nil || got["detail"] != "canary of "+heldClient {
		t.Errorf("the held record: %v, want its body", got)
	}
	s.why([]string{first}, "\n  erased         detail, source, input and result, by age (decision_log.retain)\n", "reason           no_policy_matched",
		"decided again    not replayable: ")
	page, _, exit := output(t, "audit", "diff", oldClient, "--from", "2h", "--config", s.config)
	if exit != 0 || !strings.Contains(page, "\nerased           the body of that record") || !strings.Contains(page, "nothing that was decided") {
		t.Errorf("audit diff = exit %d:\n%s", exit, page)
	}
	if line := s.command("audit export --view opa"); !strings.Contains(line, `"erased":["/input","/result","/requested_by","/custom/detail"]`) || strings.Contains(line, "canary of "+oldClient) {
		t.Errorf("audit export in the view of OPA says: %s", line)
	}
	for _, said := range []string{"audit ls", "audit ls -o csv", "report clients", "audit export", "status"} {
		if out := s.command(said); strings.Contains(out, "canary of "+oldClient) || strings.Contains(out, "unreadable") || strings.Contains(out, "damaged") {
			t.Errorf("guestlist %s says:\n%s", said, out)
		}
	}
	if got := s.status("retain_strangers"); got != "1h" {
		t.Errorf("status: retain_strangers %q, want 1h", got)
	}
	if _, _, exit := output(t, "audit", "hold", "drop", id, "--config", s.config); exit != exitFindings {
		t.Errorf("hold drop without a yes: exit %d, want %d", exit, exitFindings)
	}
	s.command("audit hold drop " + id + " --yes")
	if _, stderr, exit := output(t, "audit", "hold", "drop", id, "--yes", "--config", s.config); exit != exitError || !strings.Contains(stderr, "there is no hold") {
		t.Errorf("dropping it again: exit %d, %q", exit, stderr)
	}
	p.stop(syscall.SIGTERM) // a start begins with a round
	p = s.serve()
	s.awaitErased(heldClient)
	var events []string
	for _, r := range s.audit("--after", "0") {
		if e := r["event"].(string); strings.HasPrefix(e, "log.") && e != "log.exported" {
			events = append(events, e)
		}
	}
	if want := []string{"log.held", "log.erased", "log.released", "log.erased"}; !slices.Equal(events, want) {
		t.Errorf("records of the log: %q, want %q", events, want)
	}
	p.stop(syscall.SIGTERM)
}

// What a hold cannot be put on is refused.
func TestHoldRefuses(t *testing.T) {
	s := newSite(t)
	s.serve()
	for _, c := range []struct{ args, want string }{
		{"add --host a.example", "--reason is missing"},
		{"add --reason T-1", "nothing is selected"},
		{"add --event admission.decide --reason T-1", "did you mean admission.decided?"},
		{"add --since yesterday --reason T-1", "want a time, a date or how long ago"},
		{"drop nothing --yes", `there is no hold "nothing"`},
	} {
		stdout, stderr, exit := output(t, append(append([]string{"audit", "hold"}, strings.Fields(c.args)...), "--config", s.config)...)
		if exit != exitError || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("audit hold %s = exit %d, %q, %q, want exit 1 and %q", c.args, exit, stdout, stderr, c.want)
		}
	}
}

// G-01: a hold that nothing fits stands, and whoever put it is told.
func TestHoldWarnsWhereNothingFits(t *testing.T) {
	s := newSite(t)
	s.refusedHours(3, heldClient)
	s.serve()
	for filter, warned := range map[string]bool{"--host held.example": false, "--host hled.example": true, "--person nobody": true} {
		stdout, stderr, exit := output(t, append(strings.Fields("audit hold add --reason case-8 "+filter), "--config", s.config)...)
		if exit != 0 || !strings.HasPrefix(stdout, "hold ") || strings.HasPrefix(stderr, "guestlist: no record fits this hold yet. ") != warned || !warned && stderr != "" {
			t.Errorf("hold add %s: exit %d, %q, %q, warned %v", filter, exit, stdout, stderr, warned)
		}
	}
}

// G-04: audit why finds the document of an old decision past the 50 versions
// that are kept of a client, as long as the record has its input.
func TestStoryFindsDocumentBeyondVersions(t *testing.T) {
	c, err := parseIn(configDir(t), minimalConfig)
	if err != nil {
		t.Fatal(err)
	}
	p, err := planFrom(c)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open(t.Context(), p, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer a.close(t.Context())
	document := func(i int) []byte {
		return fmt.Appendf(nil, `{"client_id":"%s","client_name":"Name %d"}`, exampleClient, i)
	}
	sum := func(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:]) }
	r := decisionlog.Record{
		DecisionID: "d", Timestamp: decided, Event: decisionlog.EventAdmissionDecided, Outcome: decisionlog.OutcomeAdmitted, ClientID: exampleClient,
		DocumentSHA256: sum(document(0)), Phases: []decisionlog.Phase{{Phase: "document"}}, Input: json.RawMessage(`{}`),
	}
	for i := range store.VersionsPerClient + 10 {
		u := a.store.Begin()
		u.PutVersion(broker.Version{ClientID: exampleClient, SHA256: sum(document(i)), Published: document(i), SeenAt: decided.AddDate(0, 0, i)})
		if i == 0 {
			u.Append(r)
		}
		if err := a.store.Commit(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	if versions, err := a.store.Versions(t.Context(), exampleClient); err != nil || len(versions) != store.VersionsPerClient {
		t.Fatalf("Versions() = %d, %v, want %d", len(versions), err, store.VersionsPerClient)
	}
	told, err := a.story(t.Context(), []decisionlog.Record{r}, true)
	if err != nil {
		t.Fatal(err)
	}
	if s := told.(*story); s.Document == nil || !s.Document.Kept || !bytes.Equal(s.Material.Document, document(0)) {
		t.Errorf("story() = %+v with %s, want the document", s.Document, s.Material.Document)
	}
	dir := filepath.Join(t.TempDir(), "evidence")
	record, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	answer := toldOf(t, record, told)
	if err := answer.save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "document.json")); err != nil || !bytes.Equal(got, document(0)) {
		t.Errorf("--save wrote %s, %v, want the document", got, err)
	}
}

// toldOf is the answer of audit why with one record.
func toldOf(t *testing.T, record []byte, s any) told {
	t.Helper()
	var out told
	out.Records = []json.RawMessage{record}
	out.Story = s.(*story)
	return out
}
