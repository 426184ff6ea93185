package authoring_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
	"guestlist/policies/authoring"
)

func draft(t *testing.T, id, body string, change func(*authoring.DraftOptions)) (authoring.Draft, error) {
	t.Helper()
	parsed, err := cimd.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	o := authoring.DraftOptions{Name: "agent", Owner: "Identity team <iam@corp.example>", Now: now}
	if change != nil {
		change(&o)
	}
	return authoring.NewDraft(parsed, []byte(body), o)
}

const agent = "https://agent.example.com/oauth/client.json"

func document(members string) string {
	return fmt.Sprintf(`{"client_id": %q, "client_name": "Agent", "redirect_uris": ["https://agent.example.com/cb"]%s}`, agent, members)
}

// TestDraftAdmitsItsClient: a draft of every kind of document loads without a
// finding, passes its own tests, and lets its client in with every redirect
// URI that the document has.
func TestDraftAdmitsItsClient(t *testing.T) {
	bodies := map[string]string{
		"cross site":     document(`, "redirect_uris": ["https://agent.example.com/cb", "https://cb.example.org/agent"]`),
		"private scheme": document(`, "redirect_uris": ["com.example.agent:/cb"]`),
		"large":          document(`, "x_vendor": "` + strings.Repeat("x", 6000) + `"`),
		"no name":        strings.Replace(document(""), `"client_name": "Agent", `, "", 1),
		"foreign keys":   document(`, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://keys.example.org/jwks.json"`),
		"scopes":         document(`, "scope": "read write OWNER"`),
		"query":          strings.Replace(document(""), "client.json", "client.json?v=1", 1),
	}
	for name := range bodies {
		bodies[name] = dedupe(bodies[name])
	}
	real, err := filepath.Glob("../../testdata/realworld/*.json")
	if err != nil || len(real) < 6 {
		t.Fatalf("%d documents, %v", len(real), err)
	}
	for _, file := range real {
		if body := read(t, file); strings.Contains(body, `"client_id": "https://`) {
			bodies[filepath.Base(file)] = body
		}
	}
	for name, body := range bodies {
		for _, list := range []bool{false, true} {
			if list && name == "query" {
				continue
			}
			t.Run(fmt.Sprintf("%s list %v", name, list), func(t *testing.T) { admits(t, body, list) })
		}
	}
}

// dedupe drops the first redirect_uris of two, so that a case can replace it.
func dedupe(body string) string {
	if strings.Count(body, "redirect_uris") == 2 {
		return strings.Replace(body, `"redirect_uris": ["https://agent.example.com/cb"], `, "", 1)
	}
	return body
}

func admits(t *testing.T, body string, list bool) {
	_, rest, _ := strings.Cut(body, `"client_id": "`)
	id, _, _ := strings.Cut(rest, `"`)
	d, err := draft(t, id, body, func(o *authoring.DraftOptions) { o.List = list })
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, found, err := d.Save(t.Context(), dir); err != nil || len(found) > 0 {
		t.Fatalf("Save = %v, %v\n%s", found, err, d.Policy)
	}
	cfg := policies.Config{FS: os.DirFS(dir)}
	report, err := policies.Test(t.Context(), policies.TestConfig{Config: cfg})
	if err != nil || len(report.Failed()) > 0 || len(report.Tests) < 3 {
		t.Errorf("Test = %+v, %v\n%s", report, err, d.Test)
	}
	set, _, err := policies.Load(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	stage := rehearsal.Stage{Policy: set, Issuer: "https://issuer.example", Offer: broker.Offer{
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		AuthMethods: []string{"none", "private_key_jwt"}, SigningAlgs: []string{"ES256", "RS256"}, Resources: []broker.Resource{{ID: "https://api.example"}},
	}}
	for _, r := range d.Redirects {
		scene := rehearsal.Scene{ClientID: id, Document: []byte(body), At: now, RedirectURI: &r.URI,
			Request: broker.RequestInput{ResponseType: "code", GrantType: "authorization_code", PKCE: true, Source: broker.SourceInput{IP: "192.0.2.1"}}}
		records, err := stage.Play(t.Context(), scene)
		if err != nil || len(records) != 1 || records[0].Reason != "" {
			t.Errorf("with %s: %+v, %v\n%s", r.URI, records, err, d.Policy)
		}
	}
}

// TestDraftIsLeast: a term is there only where the document needs it.
func TestDraftIsLeast(t *testing.T) {
	for _, c := range []struct{ name, members, has, lacks string }{
		{"nothing asked", "", `"ceiling": []`, "refresh_token,redirect\",document\",jwks,token_endpoint_auth_methods"},
		{"scopes", `, "scope": "read write"`, `"ceiling": ["read", "write"]`, "refresh_token"},
		{"refresh", `, "grant_types": ["authorization_code", "refresh_token"]`, `"issue": true`, "redirect"},
		{"foreign grants are not asked for", `, "grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]`, `"ceiling"`, "grant_types"},
		{"loopback", `, "redirect_uris": ["http://127.0.0.1/cb"]`, `"redirect": {"loopback": true}`, "private_scheme,relation"},
		{"same site", `, "redirect_uris": ["https://cb.example.com/cb"]`, `"redirect": {"hosts": ["cb.example.com"], "relation": "same_site"}`, "loopback,cross_site"},
		{"a key and nothing weaker", `, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://agent.example.com/jwks"`, `["private_key_jwt"]`, `"jwks"`},
		{"a key or none", `, "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"], "jwks_uri": "https://agent.example.com/jwks"`, `"ceiling"`, "token_endpoint_auth_methods"},
		{"its texts are not repeated", `, "client_name": "Best\" agent", "software_id": "evil-text"`, `"ceiling"`, "Best,evil-text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := dedupe(document(c.members))
			if strings.Count(body, "client_name") == 2 {
				body = strings.Replace(body, `"client_name": "Agent", `, "", 1)
			}
			d, err := draft(t, agent, body, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(d.Policy), c.has) {
				t.Errorf("the policy lacks %s:\n%s", c.has, d.Policy)
			}
			for _, word := range strings.Split(c.lacks, ",") {
				if strings.Contains(string(d.Policy)+string(d.Test), word) {
					t.Errorf("the policy has %s:\n%s", word, d.Policy)
				}
			}
		})
	}
}

func TestDraftRefuses(t *testing.T) {
	for _, c := range []struct {
		name, id, body string
		change         func(*authoring.DraftOptions)
		want           string
	}{
		{"name with a dash", agent, document(""), func(o *authoring.DraftOptions) { o.Name = "my-agent" }, "want lower-case letters"},
		{"name outside", agent, document(""), func(o *authoring.DraftOptions) { o.Name = "../agent" }, "want lower-case letters"},
		{"word of Rego", agent, document(""), func(o *authoring.DraftOptions) { o.Name = "every" }, "no word of Rego"},
		{"reserved", agent, document(""), func(o *authoring.DraftOptions) { o.Name = "guardrails" }, "not anyone, defaults, guardrails"},
		{"a test", agent, document(""), func(o *authoring.DraftOptions) { o.Name = "agent_test" }, "no _test at the end"},
		{"owner in two lines", agent, document(""), func(o *authoring.DraftOptions) { o.Owner = "a\n# x" }, "one line"},
		{"wildcard", "https://agent.example.com/*", document(""), nil, "has a *"},
		{"row with a query", agent + "?v=1", document(""), func(o *authoring.DraftOptions) { o.List = true }, "leave out --list"},
		{"another's document", "https://other.example.com/c", document(""), nil, "document_client_id_mismatch"},
		{"a secret", agent, document(`, "client_secret": "x"`), nil, "document_secret_present"},
		{"no JSON", agent, "<html>", nil, "document_not_json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := draft(t, c.id, c.body, c.change); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewDraft = %v, want %q", err, c.want)
			}
		})
	}
}

func TestSaveKeepsWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		list  bool
		want  string
	}{
		{"the policy", map[string]string{"agent.rego": "package x\n"}, false, "agent.rego is there already"},
		{"the test", map[string]string{"policies/agent_test.rego": "package x\n"}, false, "policies/agent_test.rego is there already"},
		{"the list", map[string]string{"lists/agent/data.json": "{}"}, true, "lists/agent/data.json is there already"},
		{"the package", map[string]string{"a.rego": "package admission.policies.agent\n\nclient_ids := {\"https://a.example.com/c\"}\n"}, false, "nothing is written, because"},
		{"a directory that does not load", map[string]string{"a.rego": "package a\n\nx := {\n"}, false, "nothing is written, because"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.files)
			d, err := draft(t, agent, document(""), func(o *authoring.DraftOptions) { o.List = c.list })
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := d.Save(t.Context(), dir); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Save = %v, want %q", err, c.want)
			}
			left := 0
			filepath.WalkDir(dir, func(_ string, e os.DirEntry, _ error) error {
				if !e.IsDir() {
					left++
				}
				return nil
			})
			if left != len(c.files) {
				t.Errorf("%d files are there, want %d", left, len(c.files))
			}
		})
	}
}

// TestSaveTellsWhatItBrings: two policies for one client are told of; what was
// wrong before is not.
func TestSaveTellsWhatItBrings(t *testing.T) {
	dir := tree(t, map[string]string{"other.rego": "package admission.policies.other\n\nclient_ids := {\"" + agent + "\"}\n\nsettings := {\"claims\": {}}\n"})
	d, err := draft(t, agent, document(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, found, err := d.Save(t.Context(), dir)
	if err != nil || len(found) != 1 || found[0].Code != "equal_rank" {
		t.Errorf("Save = %v, %v; want equal_rank alone", found, err)
	}
}
