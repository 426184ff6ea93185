package policies_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"guestlist/policies"
)

// A walk does not follow links to directories. Left out in silence, the denials
// in them would be missing.
func TestLinksOfAPolicyRoot(t *testing.T) {
	for name, test := range map[string]struct {
		link, target string
		fault        string
	}{
		"a directory":                   {"team", "dir", "directory_link"},
		"a directory named like a file": {"team.rego", "dir", "directory_link"},
		"nowhere":                       {"team", "nothing", "directory_link"},
		"a file":                        {"p.rego", "dir/p.rego", ""},
		"hidden, as mounts have it":     {"..data", "dir", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root, outside := t.TempDir(), t.TempDir()
			if err := os.Mkdir(filepath.Join(outside, "dir"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(outside, "dir", "p.rego"), []byte(policy("p", "settings := {}")), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(outside, test.target), filepath.Join(root, test.link)); err != nil {
				t.Fatal(err)
			}
			_, findings, err := policies.Load(context.Background(), policies.Config{FS: os.DirFS(root)})
			found := slices.ContainsFunc(findings, func(f policies.Finding) bool { return f.Code == test.fault && f.File == test.link })
			if (test.fault != "") != found || (test.fault != "") != (err != nil) {
				t.Errorf("Load = %v, findings %v, want fault %q of %s", err, findings, test.fault, test.link)
			}
		})
	}
}

// What is no file would keep a load, or the memory of the server, for ever.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	for name, put := range map[string]func(file string) error{
		"a link to a device": func(file string) error { return os.Symlink("/dev/zero", file) },
		"a pipe":             func(file string) error { return syscall.Mkfifo(file, 0o600) },
	} {
		for _, file := range []string{"p.rego", "data.json", policies.FactsFile} {
			root := t.TempDir()
			if err := put(filepath.Join(root, file)); err != nil {
				t.Fatal(err)
			}
			done := make(chan bool, 1)
			go func() {
				_, findings, err := policies.Load(context.Background(), policies.Config{FS: os.DirFS(root)})
				done <- err != nil && slices.ContainsFunc(findings, func(f policies.Finding) bool { return f.Code == "unreadable" && f.File == file })
			}()
			select {
			case refused := <-done:
				if !refused {
					t.Errorf("%s called %s: Load did not find it unreadable", name, file)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s called %s: Load has not returned", name, file)
			}
		}
	}
}
