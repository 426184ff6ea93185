package policies_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/policies"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// files is a policy root by path.
type files map[string]string

func (f files) fs() fs.FS {
	m := fstest.MapFS{}
	for name, body := range f {
		m[name] = &fstest.MapFile{Data: []byte(body)}
	}
	return m
}

// one is a root with a single policy p that names the client.
func one(rules string) files {
	return files{"p.rego": "package admission.policies.p\n\n" + rules}
}

const example = "https://app.example.com/oauth/client.json"

// admits is the smallest policy that admits the example client.
const admits = "client_ids := {\"" + example + "\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"a\", \"b\"], \"default\": [\"a\"]}}\n"

func load(t testing.TB, f files) *policies.Set {
	t.Helper()
	return loadConfig(t, policies.Config{FS: f.fs(), Deadline: 5 * time.Second})
}

func loadConfig(t testing.TB, cfg policies.Config) *policies.Set {
	t.Helper()
	set, findings, err := policies.Load(context.Background(), cfg)
	if err != nil {
		t.Fatalf("Load = %v, want no error; findings %v", err, findings)
	}
	return set
}

// question builds a query about a client as the broker would: everything a
// phase knows, with the example values of a harmless request.
func question(t testing.TB, url string, phase broker.Phase, change ...func(*broker.Query)) broker.Query {
	t.Helper()
	id, err := cimd.Parse(url)
	if err != nil {
		t.Fatalf("Parse(%q) = %v", url, err)
	}
	redirect := id.Origin() + "/callback"
	q := broker.Query{
		Input: broker.Input{
			Contract: broker.Contract, Phase: phase, Registration: broker.RegistrationCIMD, Issuer: "https://as.example",
			Time: noon, Clock: broker.ClockInput{Zone: "UTC", Date: "2026-11-25", Weekday: "wednesday", Hour: 12},
			ClientID: url,
			Client: broker.ClientInput{Scheme: "https", Host: id.Host, Port: id.Port, RegistrableDomain: id.RegistrableDomain(),
				Parents: id.Parents(), Labels: id.Labels(), Path: id.Path, Segments: id.Segments, Query: id.Query, Warnings: id.Warnings},
			Request: broker.RequestInput{RedirectURI: redirect, ResponseType: "code", GrantType: "authorization_code", PKCE: true,
				Redirect: broker.RedirectInput{Kind: "https", Host: id.Host, Relation: "same_origin"},
				Source:   broker.SourceInput{IP: "192.0.2.1", UserAgent: "test"}},
			Redirects:  []cimd.Redirect{{URI: redirect, Kind: "https", Host: id.Host, Relation: "same_origin"}},
			Provenance: broker.ProvenanceInput{SHA256: "00", FetchedAt: noon, From: "network"},
			User:       broker.UserInput{Sub: "alice", AuthTime: noon, Issuer: "https://as.example"},
			Grant:      broker.GrantInput{CreatedAt: noon},
			Now:        broker.NowInput{GrantType: "refresh_token"},
		},
		Document: &cimd.Document{ClientID: url, ClientName: "Example", RedirectURIs: []string{redirect},
			GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}},
		Offer: broker.Offer{GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
			AuthMethods: []string{"none"}, Resources: []broker.Resource{{ID: "https://mcp.example", Name: "mcp"}}},
	}
	for _, c := range change {
		c(&q)
	}
	return q
}

func decide(t testing.TB, s *policies.Set, url string, phase broker.Phase, change ...func(*broker.Query)) broker.Decision {
	t.Helper()
	q := question(t, url, phase, change...)
	if q.Input.Facts == nil {
		q.Input.Facts = s.Facts() // as the broker does
	}
	d := s.Decide(context.Background(), q)
	if b, err := json.Marshal(d.Settings); d.Written != nil && (err != nil || !bytes.Equal(d.Written, b)) {
		t.Errorf("Decide says that its settings are written as\n%s\nthey are\n%s (%v)", d.Written, b, err)
	}
	return d
}

// allowed and refused check the answer and its reason.
func allowed(t testing.TB, d broker.Decision) {
	t.Helper()
	if !d.Allowed || d.Reason != "" {
		t.Errorf("Decide = refused with %s (%s), want allowed", d.Reason, d.Detail)
	}
}

func refused(t testing.TB, d broker.Decision, want broker.Reason) {
	t.Helper()
	if d.Allowed || d.Reason != want {
		t.Errorf("Decide = allowed %v, reason %q (%s), want reason %q", d.Allowed, d.Reason, d.Detail, want)
	}
}

func groups(g ...string) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.User.Groups = g }
}

func scopes(s ...string) func(*broker.Query) {
	return func(q *broker.Query) { q.Input.Request.Scopes = s }
}
