package servertest

import (
	"io/fs"
	"maps"
	"testing"

	"guestlist/policies"
)

// Starter returns the files of an embedded starter with more beside them, fit
// for Options.Policy and Activate.
func Starter(t testing.TB, name string, more map[string]string) map[string]string {
	t.Helper()
	root, ok := policies.Starter(name)
	if !ok {
		t.Fatalf("there is no starter %q", name)
	}
	files := map[string]string{}
	check(t, fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(root, path)
		files[path] = string(b)
		return err
	}))
	maps.Copy(files, more)
	return files
}
