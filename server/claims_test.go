package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"guestlist/server/servertest"
	"guestlist/store"
)

// readingClaims is a policy that reads these claims of a person.
func readingClaims(names ...string) map[string]string {
	var rules strings.Builder
	for _, name := range names {
		rules.WriteString("\ndeny_user contains {\"code\": \"" + name + "\", \"message\": \"m\"} if input.user.claims." + name + " == \"nobody\"\n")
	}
	return map[string]string{"p.rego": `package admission.policies.p

client_ids := {"https://client.example.com/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read"]}, "redirect": {"loopback": true}, "client_ttl": "30d",
	"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true, "grace": "0s"},
}
` + rules.String()}
}

// TestClaimsThatAreRead: a record holds the claims that the policies in force
// read, of consent, exchange and refresh, and no others anywhere; the grant
// keeps them, so that policies that read one more decide by it at once.
func TestClaimsThatAreRead(t *testing.T) {
	const mail, name = servertest.Person + "@example.com", servertest.Person + " Example"
	s := servertest.New(t, servertest.Options{Policy: readingClaims()})
	s.Docs.Publish(client, refreshing)
	token := signedIn(t, s)["refresh_token"]
	seen := uint64(0)
	for _, step := range []struct {
		reads []string
		want  []string // canaries in the records
	}{
		{nil, nil}, {[]string{"email"}, []string{mail}}, {[]string{"email", "name"}, []string{name, mail}}, {[]string{"name"}, []string{name}},
	} {
		if err := s.Activate(readingClaims(step.reads...)); err != nil {
			t.Fatal(err)
		}
		status, answer := refresh(s, token, nil)
		if status != http.StatusOK {
			t.Fatalf("refresh: %d %v", status, answer)
		}
		token = answer["refresh_token"]
		var found []string
		if err := s.Batch.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		sealed, err := s.Store.Records(t.Context(), store.RecordQuery{After: seen, Limit: 1000})
		if err != nil || len(sealed) == 0 {
			t.Fatalf("Records() = %d, %v", len(sealed), err)
		}
		for _, one := range sealed {
			seen = one.Seq
			for _, canary := range []string{mail, name} {
				if bytes.Contains(one.Header, []byte(canary)) {
					t.Errorf("policies that read %v: the header of record %d holds %s", step.reads, one.Seq, canary)
				}
				if bytes.Contains(one.Body, []byte(canary)) && !slices.Contains(found, canary) {
					found = append(found, canary)
				}
			}
		}
		slices.Sort(found)
		if !slices.Equal(found, step.want) {
			t.Errorf("policies that read %v: records hold %q, want %q", step.reads, found, step.want)
		}
	}
	grants, err := s.Store.Grants(t.Context(), store.GrantQuery{})
	if err != nil || len(grants) != 1 {
		t.Fatalf("Grants() = %d, %v", len(grants), err)
	}
	if kept, err := json.Marshal(grants[0]); err != nil || !bytes.Contains(kept, []byte(name)) {
		t.Errorf("the grant's snapshot lacks a claim that a policy may read later (%v): %s", err, kept)
	}
}
