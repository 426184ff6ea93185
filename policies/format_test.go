package policies_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guestlist/policies"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct{ name, in, want, fault string }{
		{"laid out", "package a\nx := {\"b\":1,\n\"c\":2}\n", "package a\n\nx := {\n\t\"b\": 1,\n\t\"c\": 2,\n}\n", ""},
		{"comments stay", "# METADATA\n# title: A\npackage a\n# why\nx:=1 # here\n", "# METADATA\n# title: A\npackage a\n\n# why\nx := 1 # here\n", ""},
		{"Rego v0", "package a\n\ndeny[x] { x := 1 }\n", "", "a.rego:3: "},
		{"does not parse", "package a\n\nx := {\n", "", "a.rego:4: error: unexpected eof"},
		{"a bracket", "package a\n\nx := 1 if { a(1 }\n", "", "a.rego:3: "},
		{"no package", "", "", "a.rego: error: empty module"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := policies.Format("a.rego", []byte(c.in))
			if c.fault == "" && (err != nil || string(got) != c.want) {
				t.Errorf("Format(%q) = %q, %v; want %q", c.in, got, err, c.want)
			}
			if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "load policies")) {
				t.Errorf("Format(%q) = %v, want a fault at %q", c.in, err, c.fault)
			}
		})
	}
}

// TestShippedRegoIsFormatted: what this program writes for others has the form
// that it asks of them.
func TestShippedRegoIsFormatted(t *testing.T) {
	n := 0
	for _, dir := range []string{".", "../examples"} {
		err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
			if err != nil || filepath.Ext(name) != ".rego" {
				if os.IsNotExist(err) {
					return nil
				}
				return err
			}
			body, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			n++
			got, err := policies.Format(name, body)
			if err != nil || string(got) != string(body) {
				t.Errorf("%s is not formatted (%v): guestlist policy fmt policies examples", name, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 6 {
		t.Errorf("%d files were looked at, want at least 6", n)
	}
}
