package policies_test

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"guestlist/policies"
)

const examplesDir = "../examples/policies"

// The examples hold copies of the library, as a policy repository does. They
// are the library that ships.
func TestExamplesHaveTheShippedLibrary(t *testing.T) {
	shipped, n := overlay(t, policies.Library()), 0
	err := fs.WalkDir(os.DirFS(examplesDir), ".", func(name string, d fs.DirEntry, err error) error {
		_, at, inLibrary := strings.Cut(name, "/")
		if err != nil || d.IsDir() || !inLibrary || shipped[at] == nil && !strings.HasPrefix(at, "lib/") {
			return err
		}
		n++
		body, err := os.ReadFile(path.Join(examplesDir, name))
		if file := shipped[at]; err == nil && (file == nil || !bytes.Equal(body, file.Data)) {
			t.Errorf("examples/policies/%s is not as policies/library has it", name)
		}
		return err
	})
	if err != nil || n < len(shipped) {
		t.Errorf("%d files of the library in the examples (%v), want at least %d", n, err, len(shipped))
	}
}
