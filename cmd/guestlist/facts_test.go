package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestReadmeFacts(t *testing.T) {
	_, text, ok := strings.Cut(section(t, "For security teams"), "\n### Facts\n")
	if !ok {
		t.Fatal("there is no section about facts")
	}
	text, _, _ = strings.Cut(text, "\n### ")
	dir := readmeDir(t)
	files(t, dir, text)
	config := strings.NewReplacer("DIR", dir, "path: policies", "path: guests").Replace(minimalConfig)
	writeTestFile(t, filepath.Join(dir, "guestlist.yaml"), config+"facts: facts.yaml\n")
	list := examples(text)
	if len(list) != 3 {
		t.Fatalf("%d commands, want 3", len(list))
	}
	for _, e := range list {
		e.check(t, dir)
	}
	if stdout, stderr, code := output(t, "policy", "check", filepath.Join(dir, "guests")); code == exitError {
		t.Errorf("policy check: exit %d\n%s%s", code, stdout, stderr)
	}
	if !strings.Contains(text, "`facts: facts.yaml`") {
		t.Error("the section does not say how the configuration names the file")
	}
}
