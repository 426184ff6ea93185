package authoring_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"guestlist/policies"
	"guestlist/policies/authoring"
)

const factsSchema = `{"type": "object", "properties": {
	"freeze": {"type": "boolean", "default": false},
	"tier": {"type": "string", "default": "low", "enum": ["low", "high"]},
	"limit": {"type": "integer", "default": 1},
	"owners": {"type": "array", "items": {"type": "string"}, "default": []}}}`

// facts is a set that has the facts of factsSchema.
func facts(t *testing.T) *policies.Set {
	t.Helper()
	set, err := policies.LoadFacts(fstest.MapFS{policies.FactsFile: {Data: []byte(factsSchema)}, "broken.rego": {Data: []byte("nonsense")}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestSetFacts(t *testing.T) {
	for name, c := range map[string]struct {
		file, before string
		change       map[string]any
		after        string // empty: refused
	}{
		"no file":            {"f.yaml", "-", map[string]any{"freeze": true, "owners": []any{"a", "b"}}, "freeze: true\nowners: [\"a\",\"b\"]\n"},
		"empty file":         {"f.yaml", "", map[string]any{"freeze": true}, "freeze: true\n"},
		"only a comment":     {"f.yaml", "# ours", map[string]any{"freeze": true}, "# ours\nfreeze: true\n"},
		"comments stay":      {"f.yaml", "# ours\nfreeze: false  # since May\ntier: high\n", map[string]any{"freeze": true}, "# ours\nfreeze: true  # since May\ntier: high\n"},
		"quoted name":        {"f.yaml", "\"freeze\": false\n", map[string]any{"freeze": true}, "\"freeze\": true\n"},
		"no newline":         {"f.yaml", "tier: high", map[string]any{"freeze": true}, "tier: high\nfreeze: true\n"},
		"block list":         {"f.yaml", "owners:\n  - a\ntier: high\n", map[string]any{"owners": []any{"b"}}, "owners: [\"b\"]\ntier: \"high\"\n"},
		"hash in text":       {"f.yaml", "owners: [\"a # b\"]\n", map[string]any{"owners": []any{"b"}}, "owners: [\"b\"]\n"},
		"mapping in a line":  {"f.yaml", "{freeze: false}\n", map[string]any{"freeze": true}, "freeze: true\n"},
		"text that is no":    {"f.yaml", "owners: []\n", map[string]any{"owners": []any{"no", "a: b", "#"}}, "owners: [\"no\",\"a: b\",\"#\"]\n"},
		"JSON":               {"f.json", "{\"tier\": \"high\"}", map[string]any{"freeze": true}, "{\n  \"freeze\": true,\n  \"tier\": \"high\"\n}\n"},
		"nothing new":        {"f.yaml", "freeze:   true\n", map[string]any{"freeze": true}, "freeze:   true\n"},
		"number":             {"f.yaml", "limit: 1\n", map[string]any{"limit": json.Number("2")}, "limit: 2\n"},
		"another is wrong":   {"f.yaml", "tier: medium\n", map[string]any{"freeze": true}, ""},
		"mended":             {"f.yaml", "tier: medium\n", map[string]any{"tier": "low"}, "tier: \"low\"\n"},
		"unknown name":       {"f.yaml", "tier: low\n", map[string]any{"freze": true}, ""},
		"file that is wrong": {"f.yaml", "[", map[string]any{"freeze": true}, ""},
		"JSON that is wrong": {"f.json", "{\"freeze\": false,}", map[string]any{"freeze": true}, ""},
	} {
		file := filepath.Join(t.TempDir(), c.file)
		if c.before != "-" {
			if err := os.WriteFile(file, []byte(c.before), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		_, after, err := authoring.SetFacts(file, facts(t), c.change)
		text, readErr := os.ReadFile(file)
		if c.after == "" {
			if err == nil || string(text) != c.before {
				t.Errorf("%s: SetFacts = %v, the file holds %q, want an error and what was there", name, err, text)
			}
			continue
		}
		if err != nil || readErr != nil || string(text) != c.after {
			t.Errorf("%s: SetFacts = %v, the file holds %q, want %q", name, err, text, c.after)
			continue
		}
		for fact, v := range c.change {
			if got := after.Facts()[fact]; !reflect.DeepEqual(got, v) {
				t.Errorf("%s: after has %s %v, want %v", name, fact, got, v)
			}
		}
		if info, err := os.Stat(file); err != nil || c.before != "-" && info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v, %v, want what it was", name, info.Mode(), err)
		}
	}
}

// A link stays a link, and what it leads to is written.
func TestSetFactsThroughALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "facts.yaml")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "d", "f.yaml"), []byte("tier: low\n"), 0o600), os.Symlink("d/f.yaml", link)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := authoring.SetFacts(link, facts(t), map[string]any{"tier": "high"}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(link)
	text, readErr := os.ReadFile(link)
	if err != nil || readErr != nil || info.Mode()&fs.ModeSymlink == 0 || string(text) != "tier: \"high\"\n" {
		t.Errorf("the link is %v, %v and leads to %q", info.Mode(), err, text)
	}
}

// Writers wait for each other, so that none undoes another.
func TestSetFactsAtOnce(t *testing.T) {
	const writers = 20
	var properties []string
	for i := range writers {
		properties = append(properties, fmt.Sprintf(`"f%d": {"type": "boolean", "default": false}`, i))
	}
	schema := `{"type": "object", "properties": {` + strings.Join(properties, ", ") + `}}`
	set, err := policies.LoadFacts(fstest.MapFS{policies.FactsFile: {Data: []byte(schema)}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "facts.yaml")
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if _, _, err := authoring.SetFacts(file, set, map[string]any{fmt.Sprintf("f%d", i): true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	values, err := authoring.ReadFacts(file)
	if err != nil || len(values.Values) != writers {
		t.Errorf("ReadFacts = %v, %v, want all that was set", values.Values, err)
	}
}

func TestReadFactsRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yaml")
	if err := os.WriteFile(large, []byte("owners: [\""+strings.Repeat("x", 64<<10)+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{dir: "not a regular file", large: "larger than 65536 bytes", filepath.Join(dir, "none"): "no such file"} {
		if _, err := authoring.ReadFacts(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadFacts(%q) = %v, want %q", file, err, want)
		}
	}
}
