package main

import (
	"strings"
	"testing"
)

// TestReadmeAllowOneClient runs the section's commands in a directory of init.
func TestReadmeAllowOneClient(t *testing.T) {
	_, rest, ok := strings.Cut(section(t, "For security teams"), "\n### Allow one client, edit a list\n")
	if !ok {
		t.Fatal("the section is not there")
	}
	text, _, _ := strings.Cut(rest, "\n### ")
	dir := readmeDir(t)
	cmd := guestlist("init", "guests")
	cmd.Dir = dir
	if _, stderr, code := runCommand(t, cmd); code != 0 {
		t.Fatalf("init: exit %d: %s", code, stderr)
	}
	list := examples(text)
	if len(list) < 6 {
		t.Fatalf("%d commands, want at least 6", len(list))
	}
	for _, e := range list {
		e.check(t, dir)
	}
}
