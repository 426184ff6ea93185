package authoring_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/policies"
	"guestlist/policies/authoring"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func options() authoring.Options {
	return authoring.Options{Owner: "Identity team <iam@corp.example>", Now: now}
}

// TestInitPassesAtOnce: a fresh directory loads without a finding, has the form
// that reviews expect, and its own tests pass and cover it.
func TestInitPassesAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "guests")
	placed, err := authoring.Init(t.Context(), dir, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range placed {
		if p.Kept != "" {
			t.Errorf("%s of a fresh directory is kept: %s", p.Path, p.Kept)
		}
	}
	cfg := policies.Config{FS: os.DirFS(dir), Now: func() time.Time { return now }}
	set, found, err := policies.Load(t.Context(), cfg)
	if err != nil || len(found) > 0 {
		t.Fatalf("Load = %v, %v; want no finding", found, err)
	}
	for _, p := range set.Policies() {
		if p.Title == "" || p.ReviewBy != "2027-11-26" || len(p.Authors) != 1 || p.Authors[0] != "Identity team <iam@corp.example>" || len(p.Patterns) > 0 {
			t.Errorf("policy %+v: want a title, the owner, a review in a year and nobody named", p)
		}
	}
	files, err := authoring.Format([]string{dir})
	if err != nil || len(files) < 5 {
		t.Fatalf("Format = %d files, %v", len(files), err)
	}
	for _, f := range files {
		if f.Changed() {
			t.Errorf("%s is not formatted", f.Path)
		}
	}
	report, err := policies.Test(t.Context(), policies.TestConfig{Config: cfg})
	if err != nil || len(report.Failed()) > 0 || len(report.Tests) < 8 || len(report.Findings) > 0 {
		t.Errorf("Test = %+v, %v", report, err)
	}
}

func TestInitKeepsWhatIsThere(t *testing.T) {
	const mine = "package admission.defaults\n\nsettings := {\"client_ttl\": \"10d\"}\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		kept  map[string]string // path to a part of why
	}{
		{"same name, other content", map[string]string{"README.md": "mine"}, map[string]string{"README.md": "with other content"}},
		{"same package, other file", map[string]string{"own.rego": mine}, map[string]string{"defaults.rego": "its package is in own.rego"}},
		{"a policy of another form takes its test away", map[string]string{"guardrails.rego": "package admission.guardrails\n"},
			map[string]string{"guardrails.rego": "with other content", "guardrails_test.rego": "not the one it tests"}},
		{"a policy in another file takes its test away", map[string]string{"p.rego": "package admission.policies.partners\n\nclient_ids := {\"https://a.example.com/c\"}\n"},
			map[string]string{"policies/partners.rego": "its package is in p.rego", "policies/partners_test.rego": "not the one it tests"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.files)
			placed, err := authoring.Init(t.Context(), dir, options())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range placed {
				want, kept := c.kept[p.Path]
				if kept != (p.Kept != "") || !strings.Contains(p.Kept, want) {
					t.Errorf("%s is kept %q, want %q", p.Path, p.Kept, want)
				}
			}
			for name, want := range c.files {
				if got := read(t, filepath.Join(dir, name)); got != want {
					t.Errorf("%s = %q, want it untouched", name, got)
				}
			}
			if _, found, err := policies.Load(t.Context(), policies.Config{FS: os.DirFS(dir)}); err != nil {
				t.Errorf("the directory does not load: %v %v", found, err)
			}
		})
	}
}

func TestInitTwiceChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := authoring.Init(t.Context(), dir, options()); err != nil {
		t.Fatal(err)
	}
	placed, err := authoring.Init(t.Context(), dir, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range placed {
		if p.Kept != "as it would be written" {
			t.Errorf("the second time %s is %q", p.Path, p.Kept)
		}
	}
}

func TestInitWritesNothing(t *testing.T) {
	for _, c := range []struct {
		name, dir string
		files     map[string]string
		owner     string
		want      string
	}{
		{"the directory would not load", ".", map[string]string{"broken.rego": "package admission.policies.a\n\nx := {\n"}, "Team <a@b.example>", "broken.rego:4"},
		{"the directory is a file", "guests", map[string]string{"guests": ""}, "Team <a@b.example>", "not a directory"},
		{"below a file", "guests/a", map[string]string{"guests": ""}, "Team <a@b.example>", "not a directory"},
		{"a quote in the owner", ".", nil, `Team "A"`, "without quotes"},
		{"no owner", ".", nil, "", "owner"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.files)
			_, err := authoring.Init(t.Context(), filepath.Join(dir, c.dir), authoring.Options{Owner: c.owner, Now: now})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Init = %v, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) != len(c.files) {
				t.Errorf("the directory has %v, want what it had", left)
			}
		})
	}
}

// tree writes files below a directory of the test.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
