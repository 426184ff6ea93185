package authoring

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"guestlist/policies"
)

// Formatted is one Rego file before and after formatting.
type Formatted struct {
	Path   string // as it was reached from what the caller named
	Before []byte
	After  []byte
}

// Changed reports whether formatting changes the file.
func (f Formatted) Changed() bool { return !bytes.Equal(f.Before, f.After) }

// Format lays out the Rego files that paths name, directories with all below
// them; names that begin with a dot are left out, as they are when policies
// are loaded. It writes nothing. When a file cannot be read or does not parse,
// the error holds the faults of all such files, with file and line.
func Format(paths []string) ([]Formatted, error) {
	var out []Formatted
	var faults []error
	for _, root := range paths {
		names, err := regoFiles(root)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			body, err := os.ReadFile(name)
			var after []byte
			if err == nil {
				after, err = policies.Format(name, body)
			}
			if err != nil {
				faults = append(faults, err)
				continue
			}
			out = append(out, Formatted{Path: name, Before: body, After: after})
		}
	}
	return out, errors.Join(faults...)
}

// regoFiles lists the Rego files at or below root.
func regoFiles(root string) ([]string, error) {
	info, err := os.Stat(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file or directory %s. Remedy: name a policy directory or a .rego file", root)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		if filepath.Ext(root) != ".rego" {
			return nil, fmt.Errorf("%s is no Rego file. Remedy: name a policy directory or a .rego file", root)
		}
		return []string{root}, nil
	}
	var out []string
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && filepath.Ext(name) == ".rego":
			out = append(out, name)
		}
		return nil
	})
	return out, err
}
