package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// maskPolicy hides where people are.
const maskPolicy = `# METADATA
# title: Where people are
# authors: [Privacy <privacy@corp.example>]
package admission.mask

mask contains "/source"

mask contains "/input/request/source/user_agent"

mask contains {"op": "upsert", "path": "/input/request/source/ip", "value": "0.0.0.0"}
`

// reaches waits until status says something of a name.
func (s *site) reaches(name, want string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("status says %q of %s", want, name), func() bool { return strings.Contains(s.status(name), want) })
}

// changes waits until status says something else of a name.
func (s *site) changes(name, before string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("status no longer says %q of %s", before, name), func() bool { return s.status(name) != before })
}

// TestMaskedLog: with admission.mask no record of any origin holds what it
// names, and none says that its question can be put again. A mask that cannot
// be evaluated takes the whole body, and status says so.
func TestMaskedLog(t *testing.T) {
	s := newSite(t)
	s.write("policies/mask.rego", maskPolicy)
	s.serve()
	s.token(s.alice())
	s.refused(strings.Replace(s.authorizeLink(), url.QueryEscape(processClient), url.QueryEscape("https://elsewhere.example/client"), 1))
	s.mustClient("", "block", "--url", processClient, "--reason", "a test", "--yes")
	records := s.audit()
	events := map[string]bool{}
	for _, r := range records {
		events[r["event"].(string)] = true
		whole, err := json.Marshal(r)
		if err != nil || r["source"] != nil || strings.Contains(string(whole), "Go-http-client") || strings.Contains(string(whole), `"ip":"127.0.0.1"`) {
			t.Errorf("a record holds what is masked (%v): %s", err, whole)
		}
		asked := r["input"] != nil
		if erased, _ := r["erased"].([]any); asked != slices.Contains(erased, any("/input/request/source/user_agent")) {
			t.Errorf("%s: erased %v, with an input %v", r["event"], erased, asked)
		}
	}
	for _, want := range []string{"admission.decided", "person.signed_in", "consent.granted", "token.issued", "client.blocked", "policy.activated"} {
		if !events[want] {
			t.Errorf("no record %s among %v", want, events)
		}
	}
	first := s.audit("--event", "admission.decided", "--outcome", "admitted")[0]["decision_id"].(string)
	s.why([]string{first}, "decided again    not replayable: erased or masked: /input/request/source/user_agent, /source, /input/request/source/ip\n",
		"today            not replayable: erased or masked: ", "\n  erased         /input/request/source/user_agent /source\n", "\n  masked         /input/request/source/ip\n")

	before := s.status("revision")
	s.write("policies/mask.rego", strings.Replace(maskPolicy, `mask contains "/source"`, `mask contains concat("", ["/", input.event])`, 1))
	s.changes("revision", before)
	s.mustClient("", "unblock", "--url", processClient)
	s.reaches("mask_problem", "could not be masked and have no body: mask.rego:6: a path does not lead into the body of the record")
	for _, r := range s.audit("--event", "client.unblocked") {
		if r["mask_error"] != "mask.rego:6: a path does not lead into the body of the record" || len(r["erased"].([]any)) != 4 || r["detail"] != nil {
			t.Errorf("a record that could not be masked = %v, want its header alone", r)
		}
	}
	s.write("policies/mask.rego", maskPolicy)
	eventually(t, "status speaks of no mask_problem", func() bool { return s.status("mask_problem") == "" })
}

// TestAuditWhyOfUnrecordedClaims: what today's policies would say is not made
// up where they read a claim that was not recorded because nobody read it.
func TestAuditWhyOfUnrecordedClaims(t *testing.T) {
	s := newSite(t)
	s.serve()
	s.token(s.alice())
	id := ""
	for _, r := range s.audit("--event", "admission.decided") {
		if r["phase"] == "user" {
			id = r["decision_id"].(string)
		}
	}
	s.why([]string{id}, "today            the same: allowed")
	before := s.status("revision")
	s.write("policies/example.rego", admitPolicy+"\ndeny_user contains {\"code\": \"mail\", \"message\": \"m\"} if not input.user.claims.email\n")
	s.changes("revision", before)
	s.why([]string{id}, "decided again    the same: allowed", "today            not replayable: the policies of today read claims of the person that those of then did not, so that they were not recorded: email\n")
}

// TestPolicyEvalShowsTheMask: an imagined request tells what its record would
// not keep, and shows it all the same.
func TestPolicyEvalShowsTheMask(t *testing.T) {
	page, stderr, code := output(t, "policy", "eval", "https://agent.example.com/client.json", "--policies", "../../examples/policies/open-with-quarantine", "--phase", "url", "-v")
	for _, want := range []string{"\n  erased         /input/request/source/user_agent\n", "\n  masked         /input/request/source/ip", `192.0.2.1`} {
		if code != 0 || !strings.Contains(page, want) {
			t.Errorf("policy eval = exit %d, %s\n%s\nwant %q", code, stderr, page, want)
		}
	}
}
