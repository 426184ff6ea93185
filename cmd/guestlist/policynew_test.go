package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPolicyNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "guests")
	if _, stderr, code := output(t, "init", dir); code != 0 {
		t.Fatalf("init: %s", stderr)
	}
	document := "../../testdata/realworld/claude-code.json"
	const client = "https://claude.ai/oauth/claude-code-client-metadata"
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout []string
		stderr []string
	}{
		{"neither", []string{"cc"}, 1, nil, []string{"one of --from URL and --document FILE"}},
		{"both", []string{"cc", "--from", client, "--document", document}, 1, nil, []string{"one of --from URL and --document FILE"}},
		{"no URL", []string{"cc", "--from", "http://claude.ai/x"}, 1, nil, []string{"must begin with https:// in lower case. Remedy: did you mean https://claude.ai/x?"}},
		{"no such file", []string{"cc", "--document", document + "x"}, 1, nil, []string{"no such file"}},
		{"no document", []string{"cc", "--document", "policynew_test.go"}, 1, nil, []string{"is no client ID metadata document"}},
		{"no client_id", []string{"cc", "--document", "../../testdata/realworld/mcpc.stored-without-client-id.json"}, 1, nil, []string{"client_id: the client identifier \"\" is empty"}},
		{"bad name", []string{"Claude-Code", "--document", document}, 1, nil, []string{"want lower-case letters"}},
		{"printed", []string{"cc", "--document", document, "--print"}, 0, []string{"client           " + client, "package admission.policies.cc\n", "package admission.policies.cc_test\n", `"redirect": {"loopback": true}`}, nil},
		{"bad scope", []string{"cc", "--document", document, "--scope", "a\"b"}, 1, nil, []string{"nothing is written", "scopes.ceiling"}},
		{"written", []string{"cc", "--document", document, "--scope", "mcp:read mcp:write"}, 0,
			[]string{"calls itself     Claude Code", "redirect         http://localhost/callback  loopback, cross_site", "grant types      authorization_code, refresh_token",
				"authentication   none", "scope            it asks for none", "written          policies/cc.rego\nwritten          policies/cc_test.rego\n"}, nil},
		{"written again", []string{"cc", "--document", document}, 1, nil, []string{"policies/cc.rego is there already"}},
		{"another for the same client", []string{"cc2", "--document", document, "--list"}, 2, []string{"lists/cc2/data.json"}, []string{"equal_rank"}},
	} {
		stdout, stderr, code := output(t, append([]string{"policy", "new", "--dir", dir}, c.args...)...)
		if c.name == "written again" {
			admitsWritten(t, dir, client, document)
		}
		if code != c.code || !containsAll(stdout, c.stdout) || !containsAll(stderr, c.stderr) || c.stdout == nil && stdout != "" {
			t.Errorf("%s: exit %d, want %d\nstdout %q, want %q\nstderr %q, want %q", c.name, code, c.code, stdout, c.stdout, stderr, c.stderr)
		}
	}
	stdout, _, code := output(t, "policy", "new", "cc3", "--document", document, "--print", "-o", "json")
	var got struct {
		ClientID  string `json:"client_id"`
		Redirects []struct{ Kind string }
		Files     []string
		Rego      string
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || got.ClientID != client || len(got.Redirects) != 2 || len(got.Files) != 0 || !strings.Contains(got.Rego, "cc3") {
		t.Errorf("json: exit %d, %v\n%s", code, err, stdout)
	}
}

// admitsWritten holds that what was written is formatted and lets the client in.
func admitsWritten(t *testing.T, dir, client, document string) {
	t.Helper()
	if _, stderr, code := output(t, "policy", "fmt", "--check", dir); code != 0 {
		t.Errorf("policy fmt --check: exit %d\n%s", code, stderr)
	}
	stdout, stderr, code := output(t, "policy", "eval", client, "--policies", dir, "--document", document, "--scope", "mcp:read")
	if code != 0 || !strings.Contains(stdout, "scopes          mcp:read") {
		t.Errorf("policy eval: exit %d\n%s%s", code, stdout, stderr)
	}
}

// TestPolicyNewFetches: a document comes by the guarded door, which the
// configuration opens to its document host and nothing else.
func TestPolicyNewFetches(t *testing.T) {
	s := newSite(t)
	os.Remove(filepath.Join(s.dir, "policies", "example.rego"))
	policies := filepath.Join(s.dir, "policies")
	stdout, stderr, code := output(t, "policy", "new", "example", "--from", processClient, "--config", s.config, "--dir", policies)
	if code != 0 || !strings.Contains(stdout, "written          example.rego\n") || s.hits.Load() != 1 {
		t.Fatalf("exit %d, %d fetches\n%s%s", code, s.hits.Load(), stdout, stderr)
	}
	if stdout, stderr, code := output(t, "policy", "check", policies); code != 0 {
		t.Errorf("policy check: exit %d\n%s%s", code, stdout, stderr)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"a name that nobody has", []string{"--from", "https://localhost.example.invalid/c", "--config", s.config}, "fetch_dns"},
		{"a document of somebody else", []string{"--from", processClient + "x", "--config", s.config}, "document_client_id_mismatch"},
		{"no configuration", []string{"--from", processClient, "--config", s.config + "x"}, "no such configuration file"},
	} {
		_, stderr, code := output(t, append([]string{"policy", "new", "other", "--dir", policies}, c.args...)...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d: %s, want %q", c.name, code, stderr, c.want)
		}
	}
}
