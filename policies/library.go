package policies

import (
	"embed"
	"io/fs"
)

//go:embed library/lib
var library embed.FS

// Library returns the Rego library that ships with the program: files
// lib/guestlist/NAME.rego and NAME_test.rego, packages guestlist.NAME, to be
// written into a policy repository as they are. A policy imports what it uses:
// nothing of the library is in force by itself.
func Library() fs.FS {
	root, _ := fs.Sub(library, "library") // it fails for malformed names only
	return root
}
