package authoring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"guestlist/policies"
)

var listName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// read returns the content of the list's file; nil for one that is to be made.
func (l List) read(file string) ([]byte, error) {
	if !listName.MatchString(l.Name) {
		return nil, fmt.Errorf("list %.80q: want a name of letters, digits, _ and -, at most 64", l.Name)
	}
	body, err := os.ReadFile(filepath.Join(l.Dir, filepath.FromSlash(file)))
	if !errors.Is(err, fs.ErrNotExist) {
		return body, err
	}
	for _, other := range []string{"data.yaml", "data.yml"} {
		if _, err := os.Stat(filepath.Join(l.Dir, "lists", l.Name, other)); err == nil {
			return nil, fmt.Errorf("lists/%s/%s is YAML, and allow edits JSON alone. Remedy: edit it by hand, or turn it into %s", l.Name, other, file)
		}
	}
	if l.Create {
		return nil, nil
	}
	return nil, l.unknown()
}

// unknown says which lists there are.
func (l List) unknown() error {
	names, err := listNames(l.Dir)
	if err != nil {
		return err
	}
	remedy := "name the policy directory with --dir, or make the list with --create"
	if len(names) > 0 {
		remedy = "name one of " + strings.Join(names, ", ") + ", or make it with --create"
	}
	if n := policies.Closest(l.Name, names); n != "" {
		remedy = "did you mean " + n + "? --create makes a new one"
	}
	return fmt.Errorf("there is no list %s: no file lists/%s/data.json. Remedy: %s", l.Name, l.Name, remedy)
}

// listNames are the lists that stand where allow looks for them.
func listNames(dir string) ([]string, error) {
	found, err := os.ReadDir(filepath.Join(dir, "lists"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, d := range found {
		if _, err := os.Stat(filepath.Join(dir, "lists", d.Name(), "data.json")); err == nil {
			out = append(out, d.Name())
		}
	}
	return out, err
}
