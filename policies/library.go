package policies

import (
	"embed"
	"io/fs"
)

//go:embed library/lib library/facts.schema.json
var library embed.FS

// Library returns the Rego library that ships with the program: files
// lib/guestlist/NAME.rego and NAME_test.rego, packages guestlist.NAME, and the
// FactsFile that names what they read of facts, to be written into a policy
// repository as they are. A policy imports what it uses: nothing of the library
// is in force by itself.
func Library() fs.FS {
	root, _ := fs.Sub(library, "library") // it fails for malformed names only
	return root
}
