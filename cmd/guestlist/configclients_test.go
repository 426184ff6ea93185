package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rs/zerolog"

	"guestlist/policies"
)

// registeredClients are a client with an opaque identifier and one that is
// named by a URL, in two ways of writing.
const registeredClients = `clients:
  - client_id: s6BhdRkqt3
    client_name: Console
    redirect_uris: [https://console.corp.example/cb]
    grant_types: [authorization_code, refresh_token]
    response_types: [code]
    token_endpoint_auth_method: none
  - client_id: https://app.example/client.json
    document_file: app.json
`

const appDocument = `{"client_id": "https://app.example/client.json", "client_name": "App", "redirect_uris": ["https://app.example/cb"], "x_vendor": 1}`

func TestCU17RegisteredClients(t *testing.T) {
	dir := configDir(t)
	writeTestFile(t, filepath.Join(dir, "app.json"), appDocument)
	c, err := parseIn(dir, minimalConfig+registeredClients)
	if err != nil {
		t.Fatalf("parseConfig = %v", err)
	}
	p, err := planFrom(c)
	if err != nil || len(p.clients) != 2 {
		t.Fatalf("planFrom = %d clients, %v, want 2", len(p.clients), err)
	}
	var first map[string]any
	if err := json.Unmarshal(p.clients[0].Published, &first); err != nil || first["client_name"] != "Console" || !p.clients[0].ID.IsOpaque() {
		t.Errorf("first client = %s %s (%v)", p.clients[0].ID, p.clients[0].Published, err)
	}
	if string(p.clients[1].Published) != appDocument || p.clients[1].ID.Host != "app.example" {
		t.Errorf("second client = %s %s, want the file as it is", p.clients[1].ID, p.clients[1].Published)
	}
	if got := urlShaped(p.clients); len(got) != 1 || got[0] != "https://app.example/client.json" {
		t.Errorf("urlShaped = %q, want the one with a URL", got)
	}
}

// Each case changes one text and is refused with its line and a remedy.
func TestCU17RegisteredClientsRefused(t *testing.T) {
	const opaque = "client_id: s6BhdRkqt3"
	for _, test := range []struct{ name, old, now, want string }{
		{"no id", opaque, "client_name2: x", "clients[0].client_id: is required"},
		{"A4 http", opaque, "client_id: http://app.example/x", "must begin with https://"},
		{"A4 another scheme", opaque, "client_id: custom://x", "must begin with https://"},
		{"a pattern", opaque, "client_id: 's6*'", "an asterisk"},
		{"not ASCII", opaque, "client_id: schlüssel", "not printable ASCII"},
		{"twice", opaque, "client_id: https://app.example/client.json", "is clients[0] already"},
		{"D8 secret", "client_name: Console", "client_name: Console\n    client_secret: s3cret", "there are no shared secrets here"},
		{"CU-07 secret method", "token_endpoint_auth_method: none", "token_endpoint_auth_method: client_secret_basic", "there are no shared secrets here"},
		{"no redirect_uris", "    redirect_uris: [https://console.corp.example/cb]\n", "", "redirect_uris"},
		{"no name", "    client_name: Console\n", "", "client_name"},
		{"misspelt member", "response_types:", "response_type:", "these members say nothing that this server understands: response_type"},
		{"wrong type", "grant_types: [authorization_code, refresh_token]", "grant_types: code", "must be an array of strings"},
		{"not a mapping", "  - client_id: https://app.example/client.json\n    document_file: app.json\n", "  - just text\n", "clients[1]: is not a mapping"},
		{"file is not there", "app.json", "none.json", "none.json: no such file"},
		{"file and members", "document_file: app.json", "document_file: app.json\n    client_name: App", "stands beside client_name"},
		{"file of another", "document_file: app.json", "document_file: other.json", "document_client_id_mismatch"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := configDir(t)
			writeTestFile(t, filepath.Join(dir, "app.json"), appDocument)
			writeTestFile(t, filepath.Join(dir, "other.json"), strings.Replace(appDocument, "app.example/client.json", "evil.example/x", 1))
			if !strings.Contains(registeredClients, test.old) {
				t.Fatalf("nothing to change: %q", test.old)
			}
			_, err := parseIn(dir, minimalConfig+strings.Replace(registeredClients, test.old, test.now, 1))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "Remedy: ") {
				t.Errorf("parseConfig = %v, want %q and a remedy", err, test.want)
			}
		})
	}
}

// A registered client whose name is a URL is warned of at the start, and by
// its name; one with an opaque name is not (CU-17).
func TestCU17RegisteredURLWarns(t *testing.T) {
	dir := configDir(t)
	writeTestFile(t, filepath.Join(dir, "app.json"), appDocument)
	writeTestFile(t, filepath.Join(dir, "policies", "d.rego"), "package admission.defaults\n\nsettings := {}\n")
	c, err := parseIn(dir, minimalConfig+registeredClients)
	if err != nil {
		t.Fatalf("parseConfig = %v", err)
	}
	p, err := planFrom(c)
	if err != nil {
		t.Fatalf("planFrom = %v", err)
	}
	var log bytes.Buffer
	a, err := open(t.Context(), p, zerolog.New(&log))
	if err != nil {
		t.Fatalf("open = %v", err)
	}
	if err := a.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), `"event":"client.registered_url"`); n != 1 || !strings.Contains(log.String(), "https://app.example/client.json") {
		t.Errorf("the log warns %d times, want once and of the URL:\n%s", n, log.String())
	}
}

// What the README shows is a configuration and a policy that load, and name
// the same clients.
func TestReadmeRegisteredClients(t *testing.T) {
	text := section(t, "Pinned, registered and blocked clients")
	block := func(language string) string {
		_, rest, _ := strings.Cut(text, "```"+language+"\n")
		body, _, _ := strings.Cut(rest, "```")
		return body
	}
	dir := configDir(t)
	writeTestFile(t, filepath.Join(dir, "console.json"), strings.ReplaceAll(appDocument, "https://app.example/client.json", "https://console.corp.example/client"))
	c, err := parseIn(dir, minimalConfig+block("yaml"))
	if err != nil || len(c.Clients) != 2 {
		t.Fatalf("parseConfig = %d clients, %v, want 2", len(c.Clients), err)
	}
	policy := fstest.MapFS{"internal.rego": {Data: []byte(block("rego"))}}
	if _, found, err := policies.Load(t.Context(), policies.Config{FS: policy}); err != nil || len(found) > 0 {
		t.Errorf("Load = %v, %v", found, err)
	}
	for _, client := range c.Clients {
		if !strings.Contains(block("rego"), `"`+client.ID.String()+`"`) {
			t.Errorf("the policy does not name %s", client.ID)
		}
	}
}
