package policies_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"guestlist/policies"
)

// The ten rules and the package of each.
var tenRules = []string{"freeze", "group", "hours", "key", "loopback", "network", "par", "resource", "signin"}

// regoTests runs the Rego tests of a root with strict built-in errors (trap F5)
// and returns what they covered.
func regoTests(t *testing.T, root fs.FS) *cover.Report {
	t.Helper()
	modules, data := map[string]*ast.Module{}, map[string]any{}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, p)
		switch {
		case err != nil:
		case path.Base(p) == "data.json":
			at := data
			for part := range strings.SplitSeq(path.Dir(p), "/") {
				next := map[string]any{}
				if old, ok := at[part].(map[string]any); ok {
					next = old
				}
				at[part], at = next, next
			}
			err = json.Unmarshal(body, &at)
		case path.Ext(p) == ".rego":
			modules[p], err = ast.ParseModuleWithOpts(p, string(body), ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tracer := cover.New()
	ch, err := tester.NewRunner().SetDefaultRegoVersion(ast.RegoV1).SetStore(inmem.NewFromObject(data)).
		SetCoverageQueryTracer(tracer).RaiseBuiltinErrors(true).Run(context.Background(), modules)
	if err != nil {
		t.Fatalf("Run = %v", err)
	}
	n := 0
	for r := range ch {
		n++
		if !r.Pass() {
			t.Errorf("%s: %s: not passed: %v", r.Location, r.Name, r)
		}
	}
	if n == 0 {
		t.Error("there are no tests")
	}
	report := tracer.Report(modules)
	return &report
}

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
	report := regoTests(t, policies.Library())
	for _, name := range slices.Sorted(maps.Keys(report.Files)) {
		for _, r := range report.Files[name].NotCovered {
			t.Errorf("%s:%d is covered by no test", name, r.Start.Row)
		}
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
