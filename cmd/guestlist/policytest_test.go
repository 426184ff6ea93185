package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A guest list with one policy, one denial and its tests.
const (
	guestRego = `package admission.policies.agents

client_ids := {"https://agents.corp.example/oauth/client.json"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write", "crm:read"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

deny_user contains {"code": "write_needs_eng", "message": "write access is for engineering"} if {
	"mcp:write" in input.effective.scopes
	not "eng" in input.user.groups
}
`
	guestTest = `package admission.policies.agents_test

import data.admission.policies.agents

test_refused_outside_eng if {
	count(agents.deny_user) == 1 with input as {"effective": {"scopes": ["mcp:write"]}, "user": {"groups": []}}
}

test_named if {
	agents.client_ids == {"https://agents.corp.example/oauth/client.json"}
	agents.settings.scopes.default == ["mcp:read"]
}
`
	moreDenied = guestRego + `
deny_refresh contains {"code": "network", "message": "from where it was granted"} if input.now.source.ip != input.request.source.ip
`
	moreTests = guestTest + `
test_moved if {
	count(agents.deny_refresh) == 1 with input as {"now": {"source": {"ip": "192.0.2.1"}}, "request": {"source": {"ip": "192.0.2.2"}}}
}
`
)

func guestTree(t *testing.T, change map[string]string) string {
	t.Helper()
	files := map[string]string{"agents.rego": guestRego, "agents_test.rego": guestTest}
	for name, body := range change {
		files[name] = body
		if body == "" {
			delete(files, name)
		}
	}
	return treeOf(t, files)
}

func put(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPolicyTestFindings(t *testing.T) {
	scene := func(members string) string {
		return `{"scenes": [{"name": "ours", "client_id": "https://agents.corp.example/oauth/client.json"` + members + `}]}`
	}
	for _, c := range []struct {
		name   string
		change map[string]string
		args   []string
		code   int
		want   []string // parts of what is printed
	}{
		{"green", nil, []string{"--update"}, 0, []string{"tests      2 passed", "coverage   100 %", "written to DIR/decisions.golden", "all is well"}},
		{"no golden file", nil, nil, 2, []string{"golden_missing", "guestlist policy test DIR --update"}},
		{"red", map[string]string{"agents_test.rego": guestTest + "\ntest_red if {\n\tprint(\"here\")\n\tcount(agents.client_ids) == 2\n}\n"}, []string{"--update"}, 2,
			[]string{"agents_test.rego:14: data.admission.policies.agents_test.test_red failed", "at             agents_test.rego:16: count(agents.client_ids) == 2",
				"print          here", "2 passed, 1 failed", "test_failed", "not written, because of the other findings"}},
		{"a built-in error that opa test lets pass", map[string]string{"agents_test.rego": guestTest + "\ntest_red if not to_number(\"x\") == 1\n"}, nil, 2,
			[]string{"1 error", "test_error", "to_number"}},
		{"an endless test", map[string]string{"agents_test.rego": guestTest + "\ntest_loop if count(numbers.range(1, 100000000000)) == 1\n"}, []string{"--deadline", "100ms"}, 2,
			[]string{"1 cut", "test_cut", "did not end within its time"}},
		{"no test", map[string]string{"agents_test.rego": ""}, nil, 2, []string{"tests      none", "tests_missing", "coverage   0 %"}},
		{"switched off", map[string]string{"agents_test.rego": guestTest + "\ntodo_test_later if false\n"}, nil, 2, []string{"test_skipped", "agents_test.rego:14"}},
		{"threshold", map[string]string{"agents.rego": moreDenied}, []string{"--threshold", "95"}, 2,
			[]string{"coverage_low", "less than 95 %", "agents.rego: 75 %, not evaluated: 16"}},
		{"above the threshold", map[string]string{"agents.rego": moreDenied}, []string{"--threshold", "70", "--update"}, 0, []string{"coverage   75 %"}},
		{"a threshold that nothing reaches", nil, []string{"--threshold", "200"}, 1, []string{"--threshold 200: want a percentage from 0 to 100"}},
		{"does not load", map[string]string{"agents.rego": "package admission.policies.agents\n\ndenny := 1\n"}, nil, 1, []string{"rule_unknown", "DIR does not load: 1 finding"}},
		{"tests that do not compile", map[string]string{"agents_test.rego": "package a_test\n\ntest_a if http.send({})\n"}, nil, 1, []string{"http.send"}},
		{"scenes that are none", map[string]string{"scenes.json": `{"scenes": 1}`}, nil, 1, []string{"scenes.json:1: scenes is a number; want an array"}},
		{"a scene as expected", map[string]string{"scenes.json": scene(`, "scope": "mcp:write", "user": {"name": "ada"}, "expect": {"outcome": "refused", "reason": "policy_denied"}`)}, []string{"--update"}, 0,
			[]string{"own/ours ", "policy_denied agents/write_needs_eng"}},
		{"a scene against expectation", map[string]string{"scenes.json": scene(`, "scope": "mcp:write", "user": {"name": "ada", "groups": ["eng"]}, "expect": {"outcome": "refused", "policy": "other"}`)}, nil, 2,
			[]string{"scene_unexpected", "own/ours: outcome is admitted, not refused; policy is agents, not other"}},
		{"one test", map[string]string{"agents_test.rego": guestTest + "\ntest_red if false\n"}, []string{"--run", "named"}, 0, []string{"tests      1 passed", "all is well"}},
		{"no such test", nil, []string{"--run", "nobody"}, 2, []string{"tests_missing"}},
		{"every decision", nil, []string{"--all", "--update"}, 0, []string{"lookalike/homograph ", "no_policy_matched", "listed-asks-all/agents.corp.example/oauth/client.json"}},
		{"a time that is none", nil, []string{"--at", "noon"}, 1, []string{`--at "noon"`, "2026-11-25T12:00:00Z"}},
		{"a resource that is none", nil, []string{"--resource", "x"}, 1, []string{"Remedy"}},
		{"no directory", nil, []string{"more"}, 1, []string{"one argument"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := guestTree(t, c.change)
			stdout, stderr, code := output(t, append([]string{"policy", "test", dir}, c.args...)...)
			if got := strings.ReplaceAll(stdout+stderr, dir, "DIR"); code != c.code || !containsAll(got, c.want) {
				t.Errorf("exit %d, want %d, with %q:\n%s", code, c.code, c.want, got)
			}
			if _, err := os.Stat(filepath.Join(dir, "decisions.golden")); (err == nil) != (c.code == 0 && strings.Contains(strings.Join(c.args, " "), "--update")) {
				t.Errorf("golden file: %v", err)
			}
		})
	}
}

// G-02: a reviewer sees in one diff what a change of policy does, and nothing
// of a change that decides alike.
func TestG02PolicyTestShowsWhatAChangeDoes(t *testing.T) {
	dir := guestTree(t, nil)
	if out, stderr, code := output(t, "policy", "test", dir, "--update"); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, stderr)
	}
	golden := readTestFile(t, filepath.Join(dir, "decisions.golden"))
	if strings.Contains(golden, "sha256:") || !strings.Contains(golden, "# at 2026-11-25T12:00:00Z\n# issuer https://issuer.example\n# resource https://resource.example {}\n") {
		t.Errorf("head of the golden file:\n%.400s", golden)
	}
	put(t, dir, "agents.rego", "# A remark.\n"+guestRego)
	if out, stderr, code := output(t, "policy", "test", dir); code != 0 {
		t.Errorf("a remark changes something: exit %d\n%s%s", code, out, stderr)
	}
	put(t, dir, "agents.rego", moreDenied)
	put(t, dir, "agents_test.rego", moreTests)
	out, _, code := output(t, "policy", "test", dir)
	_, diff, _ := strings.Cut(out, "+++ as decided now\n")
	diff, _, _ = strings.Cut(diff, "\nWHERE")
	want := `-listed/agents.corp.example/oauth/client.json admitted phase=refresh policy=agents scopes=mcp:read resources=https://resource.example auth=none consent=always access=5m refresh=7d client_ttl=30d
+listed/agents.corp.example/oauth/client.json refused phase=refresh reason=policy_denied denied=agents/network policy=agents
`
	if code != 2 || diff != want {
		t.Errorf("exit %d, diff\n%s\nwant\n%s", code, diff, want)
	}
	if got := readTestFile(t, filepath.Join(dir, "decisions.golden")); got != golden {
		t.Error("the golden file was written without being asked")
	}
	if _, _, code := output(t, "policy", "test", dir, "--update"); code != 0 {
		t.Errorf("update: exit %d", code)
	}
	if _, _, code := output(t, "policy", "test", dir); code != 0 {
		t.Errorf("after the update: exit %d", code)
	}
	put(t, dir, "decisions.golden", "<<<<<<< ours\n")
	if out, _, code := output(t, "policy", "test", dir); code != 2 || !strings.Contains(out, "\n-<<<<<<< ours\n") {
		t.Errorf("a broken golden file: exit %d\n%.300s", code, out)
	}
}

// What the golden file rests on holds again without the flags that said so.
func TestPolicyTestKeepsItsAssumptions(t *testing.T) {
	dir := guestTree(t, nil)
	flags := []string{"policy", "test", dir, "--at", "2027-01-02T03:04:05Z", "--issuer", "https://as.corp.example", "--resource", "https://mcp.corp.example/mcp"}
	if out, stderr, code := output(t, append(flags, "--update")...); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, stderr)
	}
	if out, stderr, code := output(t, "policy", "test", dir); code != 0 {
		t.Errorf("without the flags: exit %d\n%s%s", code, out, stderr)
	}
	out, _, code := output(t, "policy", "test", dir, "--resource", "https://other.example")
	if code != 2 || !strings.Contains(out, "-# resource https://mcp.corp.example/mcp {}\n") || !strings.Contains(out, "+# resource https://other.example {}\n") {
		t.Errorf("another resource: exit %d\n%s", code, out)
	}
}

func TestPolicyTestFormats(t *testing.T) {
	dir := guestTree(t, nil)
	out, _, code := output(t, "policy", "test", dir, "-o", "json")
	var got struct {
		Tests     []map[string]any
		Coverage  map[string]any
		Decisions []map[string]any
		Changes   []string
		Findings  []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 2 || len(got.Tests) != 2 || len(got.Decisions) < 100 || got.Coverage["percent"] != 100.0 || len(got.Findings) != 1 {
		t.Errorf("json: exit %d, %v: %d tests, %d decisions, %v, %v", code, err, len(got.Tests), len(got.Decisions), got.Coverage, got.Findings)
	}
	if got.Findings[0]["code"] != "golden_missing" {
		t.Errorf("findings %v", got.Findings)
	}
	for format, first := range map[string]string{"ndjson": `{"scene":"real/claude"`, "csv": "scene,outcome,reason,policy,scopes,consent,refresh,client_ttl\n"} {
		out, _, _ := output(t, "policy", "test", dir, "-o", format)
		if !strings.HasPrefix(out, first) || strings.Count(out, "\n") < len(got.Decisions) {
			t.Errorf("%s: %.200s", format, out)
		}
	}
	if _, stderr, code := output(t, "policy", "test", dir, "-o", "yaml"); code != 1 || !strings.Contains(stderr, "want table") {
		t.Errorf("yaml: exit %d, %s", code, stderr)
	}
}

// What the starters and the examples decide is committed beside them, and a
// change of it is a change of that file.
func TestShippedGuestListsDecideAsCommitted(t *testing.T) {
	for _, pattern := range []string{"policies/starter/*", "examples/policies/*"} {
		dirs, err := filepath.Glob(filepath.Join(repository(t), pattern))
		if err != nil || len(dirs) < 3 {
			t.Fatalf("%s: %v, %v", pattern, dirs, err)
		}
		for _, dir := range dirs {
			if stdout, stderr, code := output(t, "policy", "test", dir, "--threshold", "80"); code != 0 {
				t.Errorf("policy test %s: exit %d\n%s%s", dir, code, stdout, stderr)
			}
		}
	}
}

// A proposed change must not have --update write elsewhere.
func TestPolicyTestWritesThroughNoLink(t *testing.T) {
	dir := guestTree(t, nil)
	outside := filepath.Join(t.TempDir(), "precious")
	check(t, os.WriteFile(outside, []byte("precious"), 0o600))
	golden := filepath.Join(dir, "decisions.golden")
	if err := os.Remove(golden); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	check(t, os.Symlink(outside, golden))
	out, errs, code := output(t, "policy", "test", dir, "--update")
	if got := readTestFile(t, outside); code != exitError || got != "precious" {
		t.Errorf("policy test --update = %d, %.200q, %.200q, and what the link leads to is %.40q; want %d, untouched", code, out, errs, got, exitError)
	}
}
