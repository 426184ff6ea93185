package authoring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"guestlist/policies"
)

// Save writes a draft into a policy directory, below policies/ where there is
// such a folder, and returns the paths and what loading says that it did not
// say without them.
// A file that is there is never overwritten. When the directory would not load
// with the draft, nothing is written and the error says why.
func (d Draft) Save(ctx context.Context, dir string) ([]string, []policies.Finding, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	names, files := d.files(dir)
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("%s is there already, and is kept. Remedy: take another name, or edit it", name)
		}
	}
	before, _ := load(ctx, dir, nil) // what is wrong without the draft is not its doing
	found, err := load(ctx, dir, files)
	if err != nil {
		return nil, found, fmt.Errorf("nothing is written, because %s would not load: %w", dir, err)
	}
	for _, name := range names {
		if err := create(filepath.Join(dir, filepath.FromSlash(name)), files[name]); err != nil {
			return nil, nil, err
		}
	}
	found = slices.DeleteFunc(found, func(f policies.Finding) bool { return slices.Contains(before, f) })
	return names, found, nil
}

// files are what the draft puts into a directory, by slash path, and their
// order: the list before the policy that names it.
func (d Draft) files(dir string) ([]string, map[string][]byte) {
	name, list := d.Name, "lists/"+d.Name+"/data.json"
	if info, err := os.Stat(filepath.Join(dir, "policies")); err == nil && info.IsDir() {
		name = "policies/" + name
	}
	names := []string{name + ".rego", name + "_test.rego"}
	out := map[string][]byte{names[0]: d.Policy, names[1]: d.Test}
	if d.List != nil {
		names, out[list] = append([]string{list}, names...), d.List
	}
	return names, out
}
