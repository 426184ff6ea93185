package policies_test

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
	"guestlist/policies"
)

// The ten rules and the package of each.
var tenRules = []string{"freeze", "group", "hours", "key", "loopback", "network", "par", "quarantine", "resource", "signin"}

// overlay joins roots; the last one wins.
func overlay(t testing.TB, roots ...fs.FS) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	for _, root := range roots {
		err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := fs.ReadFile(root, p)
			out[p] = &fstest.MapFile{Data: body}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestLibraryHasTheTenRules(t *testing.T) {
	files, err := fs.Glob(policies.Library(), "lib/guestlist/*.rego")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{}
	for _, name := range tenRules {
		want = append(want, "lib/guestlist/"+name+".rego", "lib/guestlist/"+name+"_test.rego")
	}
	if !slices.Equal(files, want) {
		t.Errorf("Library has %v, want %v", files, want)
	}
}

// The library is tested line by line, with strict built-in errors.
func TestLibraryRegoTests(t *testing.T) {
	report, err := policies.Test(t.Context(), policies.TestConfig{Config: policies.Config{FS: policies.Library()}, Library: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Failed() {
		t.Errorf("%s:%d: %s: %s %s %s", r.File, r.Line, r.Name, r.Outcome, r.Expression, r.Error)
	}
	for _, f := range report.Coverage.Files {
		if f.Percent != 100 {
			t.Errorf("%s: no test covers lines %v", f.File, f.Missing)
		}
	}
	if len(report.Coverage.Files) != len(tenRules) || len(report.Findings) != 0 {
		t.Errorf("%d files are covered, want %d; findings %v", len(report.Coverage.Files), len(tenRules), report.Findings)
	}
}

func TestLibraryLoadsWithoutFindings(t *testing.T) {
	_, findings, err := policies.Load(context.Background(), policies.Config{FS: policies.Library()})
	if err != nil || len(findings) != 0 {
		t.Errorf("Load = %v, findings %v, want none", err, findings)
	}
}

// Every rule of the library says what it is for.
func TestLibraryIsDocumented(t *testing.T) {
	for name, file := range overlay(t, policies.Library()) {
		if name == policies.FactsFile {
			continue
		}
		m, err := ast.ParseModuleWithOpts(name, string(file.Data), ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
		if err != nil {
			t.Fatal(err)
		}
		said := map[int]bool{}
		for _, a := range m.Annotations {
			if a.Title == "" || a.Description == "" {
				t.Errorf("%s:%d: METADATA without title or description", name, a.Location.Row)
			}
			said[a.EndLoc().Row+1] = true
		}
		if !strings.HasSuffix(name, "_test.rego") && !said[m.Package.Location.Row] {
			t.Errorf("%s: the package has no METADATA", name)
		}
		for _, r := range m.Rules {
			helper := strings.HasSuffix(name, "_test.rego") && strings.HasPrefix(string(r.Head.Name), "_")
			if !said[r.Location.Row] && !helper {
				t.Errorf("%s:%d: rule %s has no METADATA", name, r.Location.Row, r.Head.Name)
			}
		}
	}
}

// The code of a denial from the library is not to be read in the policy; it is
// waived like any other, and no finding doubts it.
func TestLibraryDenialsCanBeWaived(t *testing.T) {
	root := overlay(t, policies.Library(), one("import data.guestlist.group\n\n"+admits+"\ndeny_user contains group.missing({\"eng\"})\n").fs(), files{
		"g.rego": "package admission.guardrails\n\nwaivers := [{\"client_id\": \"" + example + "\", \"policy\": \"p\", \"code\": \"group_missing\", \"owner\": \"IAM <iam@corp.example>\", \"expires\": \"2026-12-01\"}]\n"}.fs())
	set, findings, err := policies.Load(context.Background(), policies.Config{FS: root, Deadline: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if strings.HasPrefix(f.Code, "waiver") {
			t.Errorf("Load found %v, want nothing about the waiver", f)
		}
	}
	d := decide(t, set, example, broker.PhaseUser)
	allowed(t, d)
	if len(d.Warnings) != 1 || d.Warnings[0].Code != "group_missing" {
		t.Errorf("warnings = %v, want the waived denial", d.Warnings)
	}
}
