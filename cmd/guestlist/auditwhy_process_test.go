package main

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
)

// why runs audit why and expects these lines in its page.
func (s *site) why(args []string, want ...string) string {
	s.t.Helper()
	page, stderr, exit := output(s.t, append(append([]string{"audit", "why"}, args...), "--config", s.config)...)
	if exit != 0 {
		s.t.Fatalf("audit why %q: exit %d, %s", args, exit, stderr)
	}
	for _, w := range want {
		if !strings.Contains(page, w) {
			s.t.Errorf("audit why %q does not say %q:\n%s", args, w, page)
		}
	}
	return page
}

// G-01, G-04: audit why tells what decided then, decides again by the stored
// revision with the same result, and says what today's policies would answer.
func TestAuditWhyTellsTheStory(t *testing.T) {
	s := newFrozenSite(t)
	s.serve()
	s.token(s.alice())
	first := s.audit("--event", "admission.decided", "--outcome", "admitted")[0]["decision_id"].(string)
	s.why([]string{first},
		"decided again    the same: allowed, by example\n", "today            the same: allowed, by example\n", "policy           in force since ",
		"facts            change_freeze=false tier=\"low\"\n", "bytes, its bytes are kept\n", "came of it       grant ", ": 1 token, refreshed 0 times\n",
		"by policy example", "example.settings, example.rego:", "8  settings := {")
	before := s.status("revision")
	s.write("policies/example.rego", strings.Replace(freezePolicy, `"redirect":`, `"client_ttl": "3d", "redirect":`, 1))
	s.changes("revision", before)
	s.why([]string{first}, "decided again    the same: allowed, by example\n", "today            allowed, by example; not as recorded: settings\n")
	s.set(0, "change_freeze=true")
	if resp, _ := s.alice().get(s.authorizeLink()); resp.StatusCode != http.StatusForbidden {
		t.Fatalf("in the freeze: %d, want 403", resp.StatusCode)
	}
	s.why([]string{processClient}, "stranger saw     client_not_admitted\n", "reason           policy_denied", "decided again    the same: refused, policy_denied, by example\n",
		"facts            change_freeze=true", "example.deny, example.rego:", "deny contains {\"code\": \"change_freeze\"")
	s.offline(first)
	s.diff(first)
}

// offline decides again from what --save writes, without the server's store.
func (s *site) offline(id string) {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "evidence")
	s.why([]string{id, "--save", dir})
	if _, stderr, exit := output(s.t, "audit", "why", id, "--save", dir, "--config", s.config); exit != exitError || !strings.Contains(stderr, "not there yet") {
		s.t.Errorf("--save into a directory that is there = exit %d, %q", exit, stderr)
	}
	read := func(name string, to any) []byte {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && to != nil {
			err = json.Unmarshal(body, to)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return body
	}
	asked, b := rehearsal.Recorded{Document: read("document.json", nil)}, broker.Bundle{Files: map[string][]byte{}, Maxima: read("maxima.json", nil)}
	read("record.json", &asked.Record)
	read("offer.json", &asked.Offer)
	root := filepath.Join(dir, "policies")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(root, path)
			b.Files[name] = read(filepath.Join("policies", name), nil)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	set, err := policies.LoadBundle(s.t.Context(), b, policies.Config{})
	if err != nil || set.Revision() != asked.Record.Revision {
		s.t.Fatalf("LoadBundle() = %v, want revision %s", err, asked.Record.Revision)
	}
	if a, err := asked.Again(s.t.Context(), set); err != nil || len(a.Differs) != 0 || !a.Decision.Allowed {
		s.t.Errorf("decided again from the saved bytes: differs %v, %v, want nothing", a.Differs, err)
	}
	asked.Record.Settings = []byte(`{"client_ttl":"1h"}`)
	if a, err := asked.Again(s.t.Context(), set); err != nil || !slices.Equal(a.Differs, []string{"settings"}) {
		s.t.Errorf("a record with other settings: differs %v, %v, want settings", a.Differs, err)
	}
}

// diff compares the moment of a decision with now.
func (s *site) diff(id string) {
	s.t.Helper()
	at := strings.TrimSpace(strings.SplitN(strings.SplitN(s.why([]string{id}), "\nwhen", 2)[1], "\n", 2)[0])
	page, stderr, exit := output(s.t, "audit", "diff", processClient, "--from", at, "--config", s.config)
	if exit != exitFindings {
		s.t.Fatalf("audit diff: exit %d, %s", exit, stderr)
	}
	for _, want := range []string{
		"\nadmitted\n  was            yes\n  is             no\n", "\nfacts.change_freeze\n  was            false\n  is             true\n",
		"\nreason\n  was            -\n  is             policy_denied\n", "\nrevision\n", "     1  consent.granted granted\n", "     1  token.issued issued\n",
	} {
		if !strings.Contains(page, want) {
			s.t.Errorf("audit diff does not say %q:\n%s", want, page)
		}
	}
	var d auditDiff
	stdout, _, _ := output(s.t, "audit", "diff", processClient, "--from", "2026-01-01", "--config", s.config, "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || d.From != nil || d.To == nil || d.To.Reason != "policy_denied" || len(d.Changes) == 0 {
		s.t.Errorf("from before it came: %v, %s, want no from", err, stdout)
	}
}

// Questions that have no answer say so.
func TestAuditWhyAndDiffRefuse(t *testing.T) {
	s := newSite(t)
	s.serve()
	for _, c := range []struct {
		args string
		want string
	}{
		{"why 5a63ae1c5e58e9609c642b8e09c58033", "which is to come"},
		{"why 019abe6e6d79e9609c642b8e09c58033", "and this log begins at"},
		{"why no-such-id", "this server never gave it out"},
		{"why https://nobody.example/client.json", "nothing was ever decided about it"},
		{"why https://nobody.example/client.json --at 2020-01-01", "at or before 2020-01-01T00:00:00Z"},
		{"why https://nobody.example/client.json --at 2999-01-01", "lies in the future"},
		{"why 5a63ae1c5e58e9609c642b8e09c58033 --at 1h", "is for a client identifier URL, and "},
		{"diff nobody.example --from 1h", `and "nobody.example" is none`},
		{"ls --since 1h --until 2h", "is not before --until"},
		{"export --from 1h --to 2h", "is not before --to"},
		{"diff https://nobody.example/client.json --from 7d", `no record has the id "https://nobody.example/client.json"`},
		{"diff https://nobody.example/client.json", "--from is missing"},
		{"diff https://nobody.example/client.json --from 1h --to 2h", "is not before --to"},
		{"diff https://nobody.example/client.json --from 1h --to 2999-01-01", "lies in the future"},
	} {
		stdout, stderr, exit := output(t, append(append([]string{"audit"}, strings.Fields(c.args)...), "--config", s.config)...)
		if exit != exitError || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("audit %s = exit %d, %q, %q, want exit 1 and %q", c.args, exit, stdout, stderr, c.want)
		}
	}
}
