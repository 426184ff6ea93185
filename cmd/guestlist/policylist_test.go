package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestlist/store"
)

// partnersPolicy takes its clients from a list, has a label, and a review that
// is overdue.
const partnersPolicy = `# METADATA
# title: Partners
# description: Clients of our partners.
# authors: [Partner team <partners@corp.example>]
# custom: {review_by: "2020-01-31"}
package admission.policies.partners

client_ids_from := data.lists.partners

settings := {"tags": ["partner"]}
`

// listing is policy list as JSON.
func (s *site) listing(wantExit int, args ...string) []listedPolicy {
	s.t.Helper()
	stdout, stderr, exit := output(s.t, append([]string{"policy", "list", "-o", "json"}, args...)...)
	var rows []listedPolicy
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || exit != wantExit {
		s.t.Fatalf("policy list %v: exit %d, want %d, %v\n%s%s", args, exit, wantExit, err, stdout, stderr)
	}
	return rows
}

// named is the policy of that name.
func named(t *testing.T, rows []listedPolicy, name string) listedPolicy {
	t.Helper()
	for _, p := range rows {
		if p.Policy == name {
			return p
		}
	}
	t.Fatalf("no policy %s among %+v", name, rows)
	return listedPolicy{}
}

// partnered is a site with two policies and guardrails.
func partnered(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.write("policies/example.rego", strings.Replace(admitPolicy, "settings := {", "settings := {\n\t\"tags\": [\"desk\"],", 1))
	s.write("policies/partners.rego", partnersPolicy)
	s.write("policies/lists/partners/data.json", `{"partner.example": [{"path": "/a.json"}, {"path": "/b.json"}]}`)
	s.write("policies/guardrails.rego", `package admission.guardrails

deny contains {"code": "path", "message": "not below /denied"} if startswith(input.client.path, "/denied")
`)
	return s
}

// TestPolicyList is PF-08: who owns a policy, what it names, under which
// revision and since when, and how often it was used; PF-35: a label selects
// policies and the clients they let in, and stands in their records.
func TestPolicyList(t *testing.T) {
	s := partnered(t)
	s.serve()
	rows := s.listing(exitFindings, "--config", s.config, "--patterns", "all")
	if len(rows) != 2 {
		t.Fatalf("policies = %+v, want two", rows)
	}
	p := named(t, rows, "partners")
	if p.Title != "Partners" || p.Description != "Clients of our partners." || strings.Join(p.Owners, ";") != "Partner team <partners@corp.example>" ||
		p.ReviewBy != "2020-01-31" || !p.ReviewDue || p.Mode != "enforce" || p.List != "data.lists.partners" || p.Rows != 2 || p.Patterns != 2 ||
		strings.Join(p.ClientIDs, " ") != "https://partner.example/a.json https://partner.example/b.json" || p.File != "partners.rego" || p.Line != 6 {
		t.Errorf("partners = %+v", p)
	}
	if !strings.HasPrefix(p.Revision, "sha256:") || p.LoadedAt == nil || time.Since(*p.LoadedAt) > time.Minute || *p.Hits != (store.Hits{}) {
		t.Errorf("partners = %+v, want a revision, the time of the load and no hits", p)
	}

	s.alice().play(s.authorizeLink()) // admitted, and consent
	s.alice().get(s.authorizeLink())  // reused
	denied := strings.Replace(s.authorizeLink(), "oauth%2Fclient.json", "denied.json", 1)
	if resp, _ := s.alice().get(denied); resp.StatusCode != http.StatusForbidden {
		t.Fatalf("below /denied: %d", resp.StatusCode)
	}
	p = named(t, s.listing(exitFindings, "--config", s.config, "--mode", "enforce", "--patterns", "count"), "example")
	if p.Hits == nil || p.Hits.Matched < 3 || p.Hits.Admitted != p.Hits.Matched || p.Hits.Denied != 0 || time.Since(p.Hits.LastAt) > time.Minute || p.ClientIDs != nil {
		t.Errorf("example = %+v, hits %+v, want three or more, all admitted", p, p.Hits)
	}
	for _, test := range []struct {
		args string
		exit int
		want string
	}{
		{"--never-hit", exitFindings, "partners"},
		{"--review-due", exitFindings, "partners"},
		{"--label partner", exitFindings, "partners"},
		{"--mode shadow", 0, ""},
		{"--label nothing", 0, ""},
	} {
		var got []string
		for _, p := range s.listing(test.exit, append(strings.Fields(test.args), "--config", s.config)...) {
			got = append(got, p.Policy)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("policy list %s = %v, want %q", test.args, got, test.want)
		}
	}
	stdout := s.mustClient(processClient, "list", "--label", "desk", "-o", "json")
	if other := s.mustClient("", "list", "--label", "partner", "-o", "ndjson"); !strings.Contains(stdout, `"desk"`) || other != "" {
		t.Errorf("clients with label desk: %s\nwith label partner: %s\nwant the client and none", stdout, other)
	}
	records := s.audit("--event", "admission.decided", "--outcome", "admitted")
	if len(records) != 1 || !reflect.DeepEqual(records[0]["labels"], map[string]any{"desk": "true"}) {
		t.Errorf("labels in the log: %v, want desk", records)
	}
	st := s.policyStatus(0)
	if st.Guardrails.Denied != 1 || st.Policies != 2 || st.Rows != 2 || st.LoadedBy != "start" || st.Signed || st.Revision != p.Revision || st.Epoch == 0 || st.LastError != nil {
		t.Errorf("policy status = %+v", st)
	}
}

// policyStatus is policy status as JSON.
func (s *site) policyStatus(wantExit int) policyState {
	s.t.Helper()
	stdout, stderr, exit := output(s.t, "policy", "status", "--config", s.config, "-o", "json")
	var st policyState
	if err := json.Unmarshal([]byte(stdout), &st); err != nil || exit != wantExit {
		s.t.Fatalf("policy status: exit %d, want %d, %v\n%s%s", exit, wantExit, err, stdout, stderr)
	}
	return st
}

// TestHitsSurviveARestart: counts stay, also of a policy that is gone.
func TestHitsSurviveARestart(t *testing.T) {
	s := partnered(t)
	p := s.serve()
	s.alice().get(s.authorizeLink())
	before := *named(t, s.listing(exitFindings, "--config", s.config), "example").Hits
	p.stop(syscall.SIGTERM)
	s.serve()
	after := named(t, s.listing(exitFindings, "--config", s.config), "example")
	if before.Matched != 1 || *after.Hits != before {
		t.Errorf("hits %+v, after a restart %+v, want one as before", before, after.Hits)
	}
}

// TestPolicyListOfADirectory needs no server, and knows of no hits.
func TestPolicyListOfADirectory(t *testing.T) {
	s := partnered(t)
	dir := filepath.Join(s.dir, "policies")
	rows := s.listing(exitFindings, dir)
	p := named(t, rows, "partners")
	if len(rows) != 2 || p.Hits != nil || p.LoadedAt != nil || !p.ReviewDue || p.Rows != 2 {
		t.Errorf("policies = %+v", rows)
	}
	s.listing(0, dir, "--mode", "warn")
	for _, args := range [][]string{{dir, "--never-hit"}, {dir, "--config", s.config}, {dir, "--patterns", "some"}, {dir, "--mode", "loud"}, {dir + "/none"}} {
		if _, stderr, exit := output(t, append([]string{"policy", "list"}, args...)...); exit != exitError || stderr == "" {
			t.Errorf("policy list %v: exit %d, %q; want 1 and a reason", args, exit, stderr)
		}
	}
	stdout, _, _ := output(t, "policy", "list", dir, "-o", "csv")
	if !strings.Contains(stdout, "partners,Partners,Partner team <partners@corp.example>,2020-01-31 passed,enforce,0,\"2 (data.lists.partners, 2 rows)\",partner,") {
		t.Errorf("csv:\n%s", stdout)
	}
}

// TestPolicyStatusOfTrouble is G-34: what was wrong with the last load, where,
// since when and for whom, and which revision decides all the same.
func TestPolicyStatusOfTrouble(t *testing.T) {
	s := newSite(t)
	p := s.serve()
	good := s.policyStatus(0)
	s.write("policies/example.rego", strings.Replace(admitPolicy, "settings :=", "denny :=", 1))
	p.find(p.errs, `"policy.rejected"`, "\n")
	st := s.policyStatus(exitFindings)
	if st.Revision != good.Revision || !st.LoadedAt.Equal(good.LoadedAt) || st.LastError == nil || st.LastError.By != byWatch || time.Since(st.LastError.At) > time.Minute {
		t.Fatalf("policy status = %+v", st)
	}
	if f := st.LastError.Found; len(f) == 0 || f[0].File != "example.rego" || f[0].Line != 8 || f[0].Severity != "error" || !strings.Contains(f[0].Message, "denny") {
		t.Errorf("found = %+v, want denny in example.rego:8", f)
	}
	stdout, stderr, _ := output(t, "policy", "status", "--config", s.config)
	for _, want := range []string{"last error", "by watch", "example.rego:8: error: ", "Remedy: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("policy status does not say %q:\n%s", want, stdout)
		}
	}
	if !strings.Contains(stderr, "the last good revision stays in force") {
		t.Errorf("stderr = %q", stderr)
	}
	check(t, os.Remove(filepath.Join(s.dir, "policies", "example.rego")))
	p.find(p.errs, `"policy.none"`, "\n")
	p.find(p.errs, `"policies":0`, "\n")
	if st := s.policyStatus(exitFindings); st.Policies != 0 || st.LastError != nil || st.Revision == good.Revision {
		t.Errorf("policy status of an emptied directory = %+v", st)
	}
}

func TestReadmeWhatTheServerUses(t *testing.T) {
	_, text, ok := strings.Cut(section(t, "For security teams"), "\n### What the running server uses\n")
	if !ok {
		t.Fatal("the README has no section of what the running server uses")
	}
	text, _, _ = strings.Cut(text, "\n### ")
	_, _, password, socket, link := devServer(t)
	if resp, body := newPerson(t, devPerson, password).play(link); resp.StatusCode != http.StatusOK {
		t.Fatalf("the demo admission: %d\n%s", resp.StatusCode, body)
	}
	list := examples(text)
	if len(list) != 4 {
		t.Fatalf("%d commands, want 4", len(list))
	}
	for _, e := range list {
		e.command = strings.ReplaceAll(e.command, "SOCKET", socket)
		e.check(t, repository(t))
	}
}
