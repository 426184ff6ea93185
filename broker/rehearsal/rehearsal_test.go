package rehearsal_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
)

const (
	clientID = "https://agent.example.com/client.json"
	document = `{"client_id":"` + clientID + `","client_name":"Agent","redirect_uris":["https://agent.example.com/cb"],"grant_types":["authorization_code","refresh_token"]}`
	rego     = `package admission.policies.agents

client_ids := {"https://agent.example.com/client.json"}

settings := {"scopes": {"ceiling": ["read", "write"], "default": ["read"]}, "grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true}}

deny_user contains {"code": "write", "message": "for engineering"} if {
	"write" in input.effective.scopes
	not "eng" in input.user.groups
}

deny_refresh contains {"code": "network", "message": "from the office only"} if input.now.source.ip != "192.0.2.1"
`
)

var at = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func stage(t *testing.T) rehearsal.Stage {
	t.Helper()
	set, _, err := policies.Load(context.Background(), policies.Config{FS: fstest.MapFS{"agents.rego": {Data: []byte(rego)}}})
	if err != nil {
		t.Fatal(err)
	}
	return rehearsal.Stage{Policy: set, Issuer: "https://issuer.example", Offer: broker.Offer{
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"}, AuthMethods: []string{"none"},
		Resources: []broker.Resource{{ID: "https://api.example"}},
	}}
}

func scene(scopes ...string) rehearsal.Scene {
	return rehearsal.Scene{ClientID: clientID, Document: []byte(document), At: at, Request: broker.RequestInput{
		Scopes: scopes, ResponseType: "code", GrantType: "authorization_code", PKCE: true, Source: broker.SourceInput{IP: "192.0.2.1"},
	}}
}

func TestPlay(t *testing.T) {
	person := func(groups ...string) *broker.UserInput {
		return &broker.UserInput{Sub: "ada", Groups: groups, AuthTime: at}
	}
	later := func(ip string, groups ...string) *rehearsal.Refresh {
		return &rehearsal.Refresh{At: at.Add(2 * time.Hour), Source: broker.SourceInput{IP: ip}, Groups: groups}
	}
	for _, c := range []struct {
		name   string
		change func(*rehearsal.Scene)
		phases []string
		reason string
	}{
		{"nobody signs in", func(*rehearsal.Scene) {}, []string{"document"}, ""},
		{"person in the group", func(s *rehearsal.Scene) { s.Person = person("eng") }, []string{"document", "user"}, ""},
		{"person outside the group", func(s *rehearsal.Scene) { s.Person = person() }, []string{"document", "user"}, "policy_denied"},
		{"refresh", func(s *rehearsal.Scene) { s.Person, s.Refresh = person("eng"), later("192.0.2.1") }, []string{"document", "user", "refresh"}, ""},
		{"no refresh token for a client that does not ask for one", func(s *rehearsal.Scene) {
			s.Document = []byte(strings.Replace(document, `,"refresh_token"`, "", 1))
			s.Person, s.Refresh = person("eng"), later("192.0.2.1")
		}, []string{"document", "user"}, ""},
		{"refresh from elsewhere", func(s *rehearsal.Scene) { s.Person, s.Refresh = person("eng"), later("192.0.2.2") }, []string{"document", "user", "refresh"}, "policy_denied"},
		{"refresh after leaving the group", func(s *rehearsal.Scene) { s.Person, s.Refresh = person("eng"), later("192.0.2.1", "sales") }, []string{"document", "user", "refresh"}, "policy_denied"},
		{"refresh an hour before the unused token ends", func(s *rehearsal.Scene) {
			s.Person, s.Refresh = person("eng"), later("192.0.2.1")
			s.Refresh.At = at.Add(47 * time.Hour)
		}, []string{"document", "user", "refresh"}, ""},
		{"refresh of a token that was idle too long, though its family would live on", func(s *rehearsal.Scene) {
			s.Person, s.Refresh = person("eng"), later("192.0.2.1")
			s.Refresh.At = at.Add(49 * time.Hour)
		}, []string{"document", "user", "", ""}, "client_ended"},
		{"nobody named", func(s *rehearsal.Scene) { s.ClientID = "https://other.example.com/client.json" }, []string{"url"}, "no_policy_matched"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := scene("write")
			c.change(&sc)
			got, err := stage(t).Play(t.Context(), sc)
			if err != nil {
				t.Fatal(err)
			}
			phases := make([]string, 0, len(got))
			for _, r := range got {
				phases = append(phases, r.Phase)
			}
			if last := got[len(got)-1]; !slices.Equal(phases, c.phases) || last.Reason != c.reason {
				t.Errorf("phases %v, reason %q (%s); want %v, %q", phases, last.Reason, last.Detail, c.phases, c.reason)
			}
		})
	}
}

func TestPlayWithoutWhatItNeeds(t *testing.T) {
	sc := scene("read")
	sc.Document = nil
	if _, err := stage(t).Play(t.Context(), sc); !errors.Is(err, rehearsal.ErrDocumentWanted) {
		t.Errorf("Play without a document = %v, want ErrDocumentWanted", err)
	}
	sc = scene("read")
	sc.Refresh = &rehearsal.Refresh{At: at}
	if _, err := stage(t).Play(t.Context(), sc); err == nil {
		t.Error("Play took a refresh that nobody agreed to")
	}
}

func TestPlayNamesTheRefreshedGrant(t *testing.T) {
	sc := scene("read", "write")
	sc.Person = &broker.UserInput{Sub: "ada", Groups: []string{"eng"}, AuthTime: at}
	sc.Refresh = &rehearsal.Refresh{At: at.Add(time.Hour), Source: broker.SourceInput{IP: "192.0.2.1"}, Scopes: []string{"read"}}
	got, err := stage(t).Play(t.Context(), sc)
	if err != nil || len(got) != 3 {
		t.Fatalf("Play = %d records, %v", len(got), err)
	}
	last := got[2]
	if last.Outcome != decisionlog.OutcomeReused || string(last.Effective) == "" || last.Subject != "ada" {
		t.Errorf("refresh record = %s %s %q", last.Outcome, last.Effective, last.Subject)
	}
}
