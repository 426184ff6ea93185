package policies

import (
	"embed"
	"io/fs"
	"slices"
)

//go:embed all:starter
var starters embed.FS

// StarterNames lists the embedded starter policies: deny_all, known_clients and
// development.
func StarterNames() []string { return []string{"deny_all", "known_clients", "development"} }

// Starter returns the root of a starter, fit for Config.FS: Rego with its tests
// and data. Nothing of a starter is in force unless it is loaded.
func Starter(name string) (fs.FS, bool) {
	if !slices.Contains(StarterNames(), name) {
		return nil, false
	}
	root, err := fs.Sub(starters, "starter/"+name)
	return root, err == nil
}
