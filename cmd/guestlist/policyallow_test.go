package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// PF-09: a row is added, found there the second time, and taken away.
func TestPolicyAllow(t *testing.T) {
	const client = "https://agents.example.com/oauth/client.json"
	dir := filepath.Join(t.TempDir(), "guests")
	if _, stderr, code := output(t, "init", dir); code != 0 {
		t.Fatalf("init: %s", stderr)
	}
	list := filepath.Join(dir, "lists/partners/data.json")
	allow := func(args ...string) (string, string, int) {
		t.Helper()
		return output(t, append([]string{"policy", "allow", client, "--list", "partners", "--dir", dir}, args...)...)
	}
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout []string
		stderr []string
	}{
		{"no end", nil, 1, nil, []string{"--expires 90d", "--expires never"}},
		{"no list", []string{"--list", "", "--expires", "90d"}, 1, nil, []string{"--list NAME"}},
		{"settings that are none", []string{"--expires", "90d", "--settings", "scopes"}, 1, nil, []string{"want a JSON object"}},
		{"settings and more", []string{"--expires", "90d", "--settings", "{} {}"}, 1, nil, []string{"--settings"}},
		{"settings that are null", []string{"--expires", "90d", "--settings", "null"}, 1, nil, []string{"want a JSON object"}},
		{"an unknown setting", []string{"--expires", "90d", "--settings", `{"scope": []}`}, 1, nil, []string{"unknown member scope"}},
		{"added", []string{"--expires", "2099-03-31", "--owner", "Edge team", "--ticket", "IAM-7", "--settings", `{"scopes": {"ceiling": ["mcp:read"]}}`}, 0,
			[]string{"+++ lists/partners/data.json", `+    {"path": "/oauth/client.json", "settings": {"scopes": {"ceiling": ["mcp:read"]}}, "expires": "2099-03-31", "owner": "Edge team", "ticket": "IAM-7"}`},
			[]string{"1 row added: list partners, named by policy partners"}},
		{"added again", []string{"--expires", "2099-03-31"}, 2, nil, []string{"already, until 2099-03-31"}},
		{"removed with an end", []string{"--remove", "--expires", "90d"}, 1, nil, []string{"leave out --expires"}},
		{"removed", []string{"--remove"}, 0, []string{`-    {"path": "/oauth/client.json"`}, []string{"1 row removed"}},
		{"removed again", []string{"--remove"}, 2, nil, []string{"has no row for " + client}},
		{"nobody names it", []string{"--list", "vendors", "--create", "--expires", "never"}, 0, []string{"--- lists/vendors/data.json"}, []string{"which no policy names", "data.lists.vendors"}},
	} {
		stdout, stderr, code := allow(c.args...)
		if code != c.code || !containsAll(stdout, c.stdout) || !containsAll(stderr, c.stderr) || c.stdout == nil && stdout != "" {
			t.Errorf("%s: exit %d, want %d\nstdout %q, want %q\nstderr %q, want %q", c.name, code, c.code, stdout, c.stdout, stderr, c.stderr)
		}
	}
	if got := readTestFile(t, list); got != "{}\n" {
		t.Errorf("the list is %q at the end", got)
	}
	for _, format := range []string{"json", "ndjson"} {
		stdout, _, code := allow("--expires", "90d", "-o", format)
		var got struct {
			List, File, Host, Change string
			Row                      map[string]any
			Policies                 []string
		}
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != 0 || got.Row["path"] != "/oauth/client.json" || got.Change != "added" || len(got.Policies) != 1 {
			t.Errorf("%s: exit %d, %v: %s", format, code, err, stdout)
		}
		if format == "ndjson" && strings.Count(stdout, "\n") != 1 {
			t.Errorf("ndjson has more than a line: %s", stdout)
		}
		// PF-09: what is applied twice is no change, and machines read so too.
		for _, again := range [][]string{{"--expires", "90d"}, {"--remove", "--list", "partners"}} {
			var none struct{ Change, Message string }
			stdout, _, code = allow(append(again, "-o", format)...)
			if again[0] == "--remove" {
				stdout, _, code = allow(append(again, "-o", format)...)
			}
			if err := json.Unmarshal([]byte(stdout), &none); err != nil || code != exitFindings || none.Change != "none" || none.Message == "" {
				t.Errorf("%v again, %s: exit %d, %v: %q, want exit %d and change none", again, format, code, err, stdout, exitFindings)
			}
		}
	}
	if stdout, stderr, code := output(t, "policy", "check", dir); code != 0 {
		t.Errorf("policy check: exit %d\n%s%s", code, stdout, stderr)
	}
}
