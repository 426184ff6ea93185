package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"guestlist/policies"
)

// Each line of the table is a rule that loads in a policy of its own, in the
// phase that it is shown for, and the commands print what is shown.
func TestReadmeTenRules(t *testing.T) {
	_, text, ok := strings.Cut(section(t, "For security teams"), "\n### Ten rules that every team writes\n")
	if !ok {
		t.Fatal("README has no subsection on the ten rules")
	}
	text, _, _ = strings.Cut(text, "\n### ")
	rows := 0
	for row := range strings.SplitSeq(text, "\n") {
		lines := regexp.MustCompile("`(deny[^`]*)`").FindAllStringSubmatch(row, -1)
		if strings.HasPrefix(row, "| ") && len(lines) > 0 {
			rows++
		}
		for _, line := range lines {
			rule := strings.ReplaceAll(line[1], "if …", `if "mcp:write" in input.effective.scopes`)
			if !strings.Contains(rule, " contains ") {
				continue
			}
			noun := regexp.MustCompile(`\b(freeze|group|hours|key|loopback|network|par|quarantine|resource|signin)\.`).FindStringSubmatch(rule)
			if noun == nil {
				t.Errorf("%s uses nothing of the library", rule)
				continue
			}
			policy := fmt.Sprintf("# METADATA\n# title: One rule\n# authors: [Identity team <iam@corp.example>]\npackage admission.policies.p\n\nimport data.guestlist.%s\n\nclient_ids := {\"https://app.example.com/client.json\"}\n\n%s\n", noun[1], rule)
			if findings := loadWithLibrary(t, policy); len(findings) != 0 {
				t.Errorf("%s: %v", rule, findings)
			}
		}
	}
	if rows != 10 {
		t.Errorf("%d rows of the table have a line of Rego, want 10", rows)
	}
	dir := readmeDir(t)
	if err := os.Symlink(filepath.Join(repository(t), "examples"), filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	shown := examples(text)
	if len(shown) != 1 {
		t.Fatalf("%d commands, want 1", len(shown))
	}
	shown[0].check(t, dir)
}

// loadWithLibrary loads one policy beside the shipped library.
func loadWithLibrary(t *testing.T, policy string) []policies.Finding {
	t.Helper()
	root := fstest.MapFS{"p.rego": {Data: []byte(policy)}, "owners/data.json": {Data: []byte("{}")}}
	err := fs.WalkDir(policies.Library(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(policies.Library(), name)
		root[name] = &fstest.MapFile{Data: body}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, findings, err := policies.Load(t.Context(), policies.Config{FS: root})
	if err != nil && len(findings) == 0 {
		t.Fatal(err)
	}
	return findings
}
