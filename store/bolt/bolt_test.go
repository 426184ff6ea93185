package bolt_test

import (
	"path/filepath"
	"testing"

	"guestlist/store"
	"guestlist/store/bolt"
	"guestlist/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, dir string) store.Store { return open(t, filepath.Join(dir, "store.db")) })
}

// open opens a store that the test closes at its end, or before.
func open(t testing.TB, path string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
