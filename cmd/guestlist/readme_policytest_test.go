package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeTestAGuestList plays the subsection from top to bottom: it saves
// and appends the files it shows, and runs its commands in between.
func TestReadmeTestAGuestList(t *testing.T) {
	_, text, ok := strings.Cut(section(t, "For security teams"), "\n### Test a guest list\n")
	if !ok {
		t.Fatal("README has no subsection on tests")
	}
	text, _, _ = strings.Cut(text, "\n### ")
	dir := readmeDir(t)
	ran, saved := 0, 0
	for _, m := range regexp.MustCompile("(?s)([^\n]*)\n\n```([a-z]+)\n(.*?)```").FindAllStringSubmatch(text, -1) {
		before, kind, body := m[1], m[2], m[3]
		name := regexp.MustCompile("`(guests/[a-z_]+\\.[a-z]+)`").FindStringSubmatch(before)
		switch {
		case kind == "console":
			for _, e := range examples("```console\n" + body + "```") {
				e.check(t, dir)
				ran++
			}
		case name == nil:
			t.Fatalf("no file is named before\n%s", body)
		default:
			path := filepath.Join(dir, name[1])
			old, err := os.ReadFile(path)
			if appended := strings.Contains(before, "adds this to"); appended != (err == nil) {
				t.Fatalf("%s is saved and appended to in the wrong order", name[1])
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, dir, name[1], string(old)+body)
			saved++
		}
	}
	if ran != 2 || saved != 4 {
		t.Errorf("%d commands and %d files, want 2 and 4", ran, saved)
	}
	// The scenes come last; they hold.
	stdout, stderr, code := output(t, "policy", "test", filepath.Join(dir, "guests"), "--update")
	if code != 0 || !strings.Contains(stdout, "own/sales-writes ") {
		t.Errorf("with the scenes: exit %d\n%s%s", code, stdout, stderr)
	}
}
