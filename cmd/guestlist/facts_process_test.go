package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const freezeSchema = `{
  "type": "object",
  "properties": {
    "change_freeze": {"type": "boolean", "default": false, "description": "nobody new comes in"},
    "tier": {"type": "string", "enum": ["low", "high"], "default": "low", "description": "trust in strangers"}
  }
}
`

// freezePolicy admits the example client unless there is a freeze.
const freezePolicy = admitPolicy + `
deny contains {"code": "change_freeze", "message": "a change freeze is on"} if input.facts.change_freeze
`

// newFrozenSite is a site whose policies read a fact.
func newFrozenSite(t *testing.T) *site {
	s := newSite(t)
	config, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("guestlist.yaml", string(config)+"facts: facts.yaml\n")
	s.write("policies/facts.schema.json", freezeSchema)
	s.write("policies/example.rego", freezePolicy)
	s.write("facts.yaml", "# what the operators say\nchange_freeze: false # since March\n")
	return s
}

// set runs facts set and expects its exit code.
func (s *site) set(exit int, args ...string) (stdout, stderr string) {
	s.t.Helper()
	stdout, stderr, got := output(s.t, append([]string{"facts", "set", "--config", s.config}, args...)...)
	if got != exit {
		s.t.Fatalf("facts set %q: exit %d, want %d\n%s%s", args, got, exit, stdout, stderr)
	}
	return stdout, stderr
}

// status is what the server says under a name.
func (s *site) status(name string) string {
	s.t.Helper()
	stdout, _, _ := output(s.t, "status", "--config", s.config)
	for line := range strings.Lines(stdout) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// TestFactsSet: a freeze that a command sets is in force when the command ends
// (TestWatchFile says how soon), in one commit with its record, and is taken
// back; the file keeps its comments.
func TestFactsSet(t *testing.T) {
	s := newFrozenSite(t)
	if stdout, _ := s.set(0, "change_freeze=false", "tier=high"); !strings.Contains(stdout, "change_freeze: false already\ntier: \"low\" → \"high\"\n") || !strings.Contains(stdout, "no server answers") {
		t.Errorf("without a server: %q", stdout)
	}
	p := s.serve()
	link := s.authorizeLink()
	open := s.status("facts_sha256")
	if !strings.HasPrefix(open, "sha256:") || s.status("facts") != filepath.Join(s.dir, "facts.yaml") || s.status("facts_age") == "" {
		t.Errorf("status: facts_sha256 %q, facts %q, facts_age %q", open, s.status("facts"), s.status("facts_age"))
	}
	if resp, body := s.alice().get(link); resp.StatusCode != http.StatusOK {
		t.Fatalf("before the freeze: %d\n%s", resp.StatusCode, body)
	}
	if stdout, _ := s.set(0, "change_freeze=true"); !strings.Contains(stdout, "change_freeze: false → true\nin force: ") {
		t.Errorf("facts set said %q", stdout)
	}
	if resp, _ := s.alice().get(link); resp.StatusCode != http.StatusForbidden {
		t.Errorf("in the freeze: %d, want 403", resp.StatusCode)
	}
	if refused := s.audit("--outcome", "refused"); len(refused) == 0 {
		t.Error("the refusal is not recorded")
	} else if why, _, _ := output(t, "audit", "why", refused[0]["request_id"].(string), "--config", s.config); !strings.Contains(why, "facts          "+s.status("facts_sha256")) {
		t.Errorf("audit why does not name the facts %s\n%s", s.status("facts_sha256"), why)
	}
	if text, err := os.ReadFile(filepath.Join(s.dir, "facts.yaml")); err != nil || string(text) != "# what the operators say\nchange_freeze: true # since March\ntier: \"high\"\n" {
		t.Errorf("facts.yaml = %q, %v", text, err)
	}
	if stdout, _ := s.set(0, "change_freeze=true"); !strings.Contains(stdout, "change_freeze: true already\nin force") {
		t.Errorf("the same once more: %q", stdout)
	}
	records := s.audit("--event", "facts.changed")
	if len(records) != 1 || !strings.Contains(records[0]["detail"].(string), "change_freeze: false → true") || records[0]["facts_sha256"] == open || records[0]["facts_sha256"] != s.status("facts_sha256") {
		t.Errorf("facts.changed records = %v, want one with the digest that status has", records)
	}
	s.set(0, "change_freeze=false")
	if resp, body := s.alice().play(link); resp.Header.Get("Location") == "" {
		t.Errorf("after the freeze: %d\n%s", resp.StatusCode, body)
	}
	p.stop(syscall.SIGTERM)
	s.serve()
	if got := s.audit("--event", "facts.changed"); len(got) != 2 || s.status("facts_sha256") != open {
		t.Errorf("after a restart with the same facts: %d records, %q, want two and %q", len(got), s.status("facts_sha256"), open)
	}
}

// TestFactsThatDoNotFit: whatever is wrong with the file, the values in force
// go on, and log, status and a record say why.
func TestFactsThatDoNotFit(t *testing.T) {
	s := newFrozenSite(t)
	s.write("facts.yaml", "change_freeze: true\n")
	p := s.serve()
	link := s.authorizeLink()
	frozen := s.status("facts_sha256")
	for _, c := range []struct{ text, want string }{
		{"tier: low\nchange_freze: false\n", "facts.yaml:2: change_freze: there is no such fact in facts.schema.json; did you mean change_freeze?"},
		{"change_freeze: \"no\"\n", "facts.yaml:1: change_freeze: want true or false"},
		{"", "it has no content. Remedy: write {} to it"},
		{"# change_freeze: true\n", "it has no content"},
		{"tier: medium\n", "want one of low, high"},
		{"- change_freeze\n", "want one object, name to value"},
		{"change_freeze: [\n", "facts.yaml"},
		{"change_freeze: false\n---\ntier: low\n", "more than one document"},
	} {
		s.write("facts.yaml", c.text)
		s.reaches("facts_problem", c.want)
		if resp, _ := s.alice().get(link); resp.StatusCode != http.StatusForbidden || s.status("facts_sha256") != frozen {
			t.Errorf("facts.yaml %q: %d, facts %q, want the freeze to go on", c.text, resp.StatusCode, s.status("facts_sha256"))
		}
	}
	if err := os.Remove(filepath.Join(s.dir, "facts.yaml")); err != nil {
		t.Fatal(err)
	}
	p.find(p.errs, "there is no facts file", "\n")
	if got := s.audit("--event", "facts.rejected"); len(got) < 6 || got[0]["revision"] == nil {
		t.Errorf("facts.rejected records = %v, want one for each", got)
	}
	if _, stderr := s.set(exitError, "change_freze=false"); !strings.Contains(stderr, "did you mean change_freeze?") {
		t.Errorf("facts set of an unknown name: %q", stderr)
	}
	for _, args := range [][]string{{"change_freeze=maybe"}, {"change_freeze"}, {"tier=low", "tier=high"}, {}} {
		s.set(exitError, args...)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "facts.yaml")); err == nil {
		t.Error("refused commands wrote the file")
	}
	s.set(0, "change_freeze=false")
	if resp, body := s.alice().get(link); resp.StatusCode != http.StatusOK || s.status("facts_problem") != "" {
		t.Errorf("mended by facts set: %d, problem %q\n%s", resp.StatusCode, s.status("facts_problem"), body)
	}
}

// TestPoliciesThatDropAFact: a revision that the facts in force do not fit is
// refused as a whole, with both names; with them, both are taken over.
func TestPoliciesThatDropAFact(t *testing.T) {
	s := newFrozenSite(t)
	s.write("facts.yaml", "change_freeze: true\n")
	p := s.serve()
	revision := s.status("revision")
	s.write("policies/example.rego", admitPolicy)
	s.write("policies/facts.schema.json", strings.Replace(freezeSchema, "change_freeze", "freeze", 1))
	line := p.find(p.errs, `"policy.rejected"`, "\n")
	for _, want := range []string{"facts.yaml:1: change_freeze: there is no such fact", "facts.schema.json", "it names freeze, tier"} {
		if !strings.Contains(line, want) {
			t.Errorf("line %q does not say %q", line, want)
		}
	}
	if resp, _ := s.alice().get(s.authorizeLink()); resp.StatusCode != http.StatusForbidden || s.status("revision") != revision {
		t.Errorf("%d under %s, want the freeze to go on under %s", resp.StatusCode, s.status("revision"), revision)
	}
	s.write("facts.yaml", "freeze: true\n")
	p.find(p.errs, `"facts.rejected"`, "\n")
	p.cmd.Process.Signal(syscall.SIGHUP)
	s.changes("revision", revision)
	if s.status("facts_problem")+s.status("policy_problem") != "" {
		t.Errorf("problems %q, %q", s.status("facts_problem"), s.status("policy_problem"))
	}
	p.stop(syscall.SIGTERM)
	s.write("facts.yaml", "change_freeze: true\n")
	if _, stderr, exit := output(t, "serve", "--config", s.config); exit != exitError || !strings.Contains(stderr, "facts.yaml:1: change_freeze") {
		t.Errorf("start with facts that do not fit: exit %d, %q", exit, stderr)
	}
	if err := os.Remove(filepath.Join(s.dir, "facts.yaml")); err != nil {
		t.Fatal(err)
	}
	if _, stderr, exit := output(t, "serve", "--config", s.config); exit != exitError || !strings.Contains(stderr, "there is no facts file") || !strings.Contains(stderr, "Remedy") {
		t.Errorf("start without the file: exit %d, %q", exit, stderr)
	}
}

func TestFactsList(t *testing.T) {
	s := newFrozenSite(t)
	s.write("facts.yaml", "tier: high\n")
	stdout, stderr, exit := output(t, "facts", "list", "--config", s.config)
	want := `NAME           TYPE     VALUE   DEFAULT  DESCRIPTION
change_freeze  boolean  false   false    nobody new comes in
tier           string   "high"  "low"    trust in strangers
`
	if exit != 0 || stdout != want {
		t.Errorf("facts list: exit %d, %q\n%s\nwant\n%s", exit, stderr, stdout, want)
	}
	stdout, _, exit = output(t, "facts", "list", "--config", s.config, "-o", "ndjson")
	if exit != 0 || !strings.Contains(stdout, `{"name":"tier","type":"string","value":"high","default":"low","description":"trust in strangers","enum":["low","high"]}`) {
		t.Errorf("facts list -o ndjson: exit %d\n%s", exit, stdout)
	}
	s.write("policies/example.rego", "package admission.policies.example\n\nnonsense if {\n")
	s.set(0, "tier=low") // a broken policy beside the schema keeps nobody from setting a fact
	s.write("policies/facts.schema.json", "{")
	if _, stderr, exit := output(t, "facts", "list", "--config", s.config); exit != exitError || !strings.Contains(stderr, "facts.schema.json:1:") {
		t.Errorf("facts list with a broken schema: exit %d, %q", exit, stderr)
	}
}

// TestEvalWithFacts: policy eval decides with the facts of the configuration,
// or with those of a file.
func TestEvalWithFacts(t *testing.T) {
	s := newFrozenSite(t)
	s.write("document.json", `{"client_id":"`+processClient+`","client_name":"Example","redirect_uris":["http://127.0.0.1/callback"]}`+"\n")
	s.write("frozen.json", `{"change_freeze": true}`)
	s.write("bad.json", `{"change_freeze": 1}`)
	eval := func(args ...string) (string, int) {
		stdout, stderr, exit := output(t, append([]string{"policy", "eval", processClient, "--document", filepath.Join(s.dir, "document.json")}, args...)...)
		return stdout + stderr, exit
	}
	file := func(name string) string { return filepath.Join(s.dir, name) }
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"--config", s.config}, 0, "admitted"},
		{[]string{"--config", s.config, "--facts", file("frozen.json")}, exitFindings, "change_freeze"},
		{[]string{"--policies", file("policies"), "--facts", file("frozen.json")}, exitFindings, "change_freeze"},
		{[]string{"--policies", file("policies")}, 0, "admitted"},
		{[]string{"--policies", file("policies"), "--facts", file("bad.json")}, exitError, "bad.json:1: change_freeze: want true or false"},
		{[]string{"--policies", file("policies"), "--facts", file("none.json")}, exitError, "there is no facts file"},
	} {
		if got, exit := eval(c.args...); exit != c.exit || !strings.Contains(got, c.want) {
			t.Errorf("eval %q: exit %d, want %d with %q\n%s", c.args, exit, c.exit, c.want, got)
		}
	}
	s.write("facts.yaml", "change_freeze: true\n")
	if got, exit := eval("--config", s.config); exit != exitFindings || !strings.Contains(got, "change_freeze") {
		t.Errorf("eval with the configuration's facts: exit %d\n%s", exit, got)
	}
}
