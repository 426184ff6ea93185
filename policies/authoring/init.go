package authoring

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"guestlist/policies"
)

//go:embed all:template
var templates embed.FS

// Options say how a first policy directory is written.
type Options struct {
	Owner string            // who answers for the policies, "Team <mail>"; required
	Now   time.Time         // the review date is a year later; required
	More  map[string][]byte // further files by slash path, schemas for instance; may be nil
}

// Placed is one file of a first policy directory.
type Placed struct {
	Path string // slash path below the directory
	Kept string // why it was not written; empty: it was
}

// owner is text that can stand between quotes in YAML.
var owner = regexp.MustCompile(`^[^\x00-\x1f\x7f"\\]{1,200}$`)

// Init writes a policy directory that loads without a finding: policies with
// tests, a list, guardrails, defaults, and what editors want. What is there is
// never overwritten, and a package that another file already has is left out,
// its tests with it. When the directory would not load with the new files,
// none is written and the error says why.
func Init(ctx context.Context, dir string, o Options) ([]Placed, error) {
	if !owner.MatchString(o.Owner) {
		return nil, fmt.Errorf("owner %q: want one line without quotes, for instance Identity team <iam@corp.example>", o.Owner)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	wanted, err := first(o)
	if err != nil {
		return nil, err
	}
	out, add, err := place(dir, wanted)
	if err != nil {
		return nil, err
	}
	if _, err := load(ctx, dir, add); err != nil {
		return nil, fmt.Errorf("nothing is written, because %s would not load with the new files: %w", dir, err)
	}
	for _, name := range slices.Sorted(maps.Keys(add)) {
		if err := create(filepath.Join(dir, filepath.FromSlash(name)), add[name]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// first are the files of a new directory, by slash path.
func first(o Options) (map[string][]byte, error) {
	out := maps.Clone(o.More)
	if out == nil {
		out = map[string][]byte{}
	}
	if err := library(out); err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("OWNER", o.Owner, "REVIEW_BY", o.Now.AddDate(1, 0, 0).Format(time.DateOnly))
	root, err := fs.Sub(templates, "template")
	if err != nil {
		return nil, err
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, name)
		if path.Ext(name) == ".rego" {
			body = []byte(fill.Replace(string(body)))
		}
		out[name] = body
		return err
	})
	return out, err
}

// library adds the shipped library as plain files, so that other tools and the
// revision see it; from then on it is the team's.
func library(out map[string][]byte) error {
	shipped := policies.Library()
	return fs.WalkDir(shipped, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		out[name], err = fs.ReadFile(shipped, name)
		return err
	})
}

// place parts the wanted files into those to add and those that are left as
// they are.
func place(dir string, wanted map[string][]byte) (all []Placed, add map[string][]byte, err error) {
	packages, err := packagesOf(dir)
	if err != nil {
		return nil, nil, err
	}
	add = map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		kept, err := keptAs(dir, name, wanted, packages)
		if err != nil {
			return nil, nil, err
		}
		if kept == "" {
			add[name] = wanted[name]
		}
		all = append(all, Placed{name, kept})
	}
	return all, add, nil
}

// keptAs says why a wanted file is not written; empty when it is.
func keptAs(dir, name string, wanted map[string][]byte, packages map[string]string) (string, error) {
	body, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	switch {
	case err == nil && bytes.Equal(body, wanted[name]):
		return "as it would be written", nil
	case err == nil:
		return "it is there, with other content", nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if file := packages[packageOf(wanted[name])]; file != "" && path.Ext(name) == ".rego" {
		return "its package is in " + file, nil
	}
	if subject, isTest := strings.CutSuffix(name, "_test.rego"); isTest {
		if why, err := keptAs(dir, subject+".rego", wanted, packages); why != "" || err != nil {
			return subject + ".rego is not the one it tests", err
		}
	}
	return "", nil
}

var packageLine = regexp.MustCompile(`(?m)^package[ \t]+([\w.]+)`)

// packageOf reads the name of a file's package.
func packageOf(body []byte) string {
	if m := packageLine.FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return ""
}

// packagesOf maps the packages of a directory to their files; a directory that
// is not there has none.
func packagesOf(dir string) (map[string]string, error) {
	out := map[string]string{}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	names, err := regoFiles(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		short, err := filepath.Rel(dir, name)
		if err != nil {
			return nil, err
		}
		out[packageOf(body)] = filepath.ToSlash(short)
	}
	return out, nil
}

// create writes a file that is not there yet, with its folders.
func create(name string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if bytes.HasPrefix(body, []byte("#!")) {
		mode = 0o755
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(name)
	}
	return err
}
