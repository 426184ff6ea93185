package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "guests")
	stdout, stderr, code := output(t, "init", dir, "--owner", "Edge team <edge@corp.example>")
	if code != 0 || !strings.Contains(stdout, "guardrails.rego") || !strings.Contains(stderr, "0 kept. Next: guestlist policy check") {
		t.Fatalf("init: exit %d\n%s%s", code, stdout, stderr)
	}
	if text := readTestFile(t, filepath.Join(dir, "guardrails.rego")); !strings.Contains(text, `"Edge team <edge@corp.example>"`) {
		t.Errorf("the owner is not in %s", text)
	}
	for _, args := range [][]string{{"policy", "check", dir}, {"policy", "fmt", "--check", dir}, {"policy", "test", dir}} {
		if stdout, stderr, code := output(t, args...); code != 0 {
			t.Errorf("%v: exit %d\n%s%s", args, code, stdout, stderr)
		}
	}
	// PF-09: the second time changes nothing, and json parses.
	stdout, stderr, code = output(t, "init", dir, "--owner", "Edge team <edge@corp.example>", "-o", "json")
	var rows []map[string]string
	if err := json.Unmarshal([]byte(stdout), &rows); err != nil || code != 0 || !strings.Contains(stderr, "0 files written") {
		t.Fatalf("init again: exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
	for _, r := range rows {
		if r["state"] != "kept" {
			t.Errorf("the second time: %v", r)
		}
	}
	if _, stderr, code := output(t, "init", filepath.Join(dir, "README.md")); code != 1 || !strings.Contains(stderr, "not a directory") {
		t.Errorf("init FILE: exit %d: %s", code, stderr)
	}
}
