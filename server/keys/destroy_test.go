package keys_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"guestlist/server/keys"
)

// G-01: once the pseudonym key is destroyed nobody has it: not this process,
// not the directory, not the bytes of the file that was there. Signing and
// sealing keys stay.
func TestDestroy(t *testing.T) {
	dir := emptyDir(t)
	k, err := keys.Open(keys.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "pseudonym.json")
	secret := secretOf(t, path)
	old, err := os.Open(path) // what somebody has of the old file
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	alice, signs := k.Pseudonym("alice"), string(k.JWKS())
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 100 {
				k.Pseudonym("alice")
			}
		})
	}
	if err := k.Destroy("pseudonym"); err != nil {
		t.Fatal(err)
	}
	asking.Wait()
	if k.Pseudonym("alice") == alice || string(k.JWKS()) != signs {
		t.Errorf("after Destroy the pseudonym is the same, or the signing keys are not")
	}
	again, err := keys.Open(keys.Config{Dir: dir, Existing: true})
	if err != nil || again.Pseudonym("alice") != k.Pseudonym("alice") {
		t.Errorf("Open() after Destroy: %v, want the pseudonyms of the process that destroyed", err)
	}
	left := make([]byte, 4096)
	n, _ := old.ReadAt(left, 0)
	if n == 0 || len(bytes.Trim(left[:n], "\x00")) > 0 {
		t.Errorf("the file that was there holds %q, want zeros", left[:n])
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if raw, err := os.ReadFile(filepath.Join(dir, f.Name())); err != nil || strings.Contains(string(raw), secret) {
			t.Errorf("%s has the old key (%v)", f.Name(), err)
		}
	}
	if list := k.List(); len(list) != 3 || list[2].Purpose != "pseudonym" || list[2].State != "active" {
		t.Errorf("List() = %v, want one active pseudonym key", list)
	}
}

// secretOf is the key in a file, as it is written there.
func secretOf(t *testing.T, path string) string {
	t.Helper()
	var file struct {
		Keys []struct {
			Key struct {
				K string `json:"k"`
			} `json:"key"`
		} `json:"keys"`
	}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &file)
	}
	if err != nil || len(file.Keys) != 1 || len(file.Keys[0].Key.K) < 40 {
		t.Fatalf("%s: %v, want one key", path, err)
	}
	return file.Keys[0].Key.K
}

// What cannot be destroyed stays, and the error says why.
func TestDestroyRefuses(t *testing.T) {
	dir := emptyDir(t)
	k, err := keys.Open(keys.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	alice, signs := k.Pseudonym("alice"), string(k.JWKS())
	for _, purpose := range []string{"signing", "sealing", "", "Pseudonym"} {
		if err := k.Destroy(purpose); err == nil || !strings.Contains(err.Error(), "pseudonym alone") {
			t.Errorf("Destroy(%q) = %v, want a refusal", purpose, err)
		}
	}
	path := filepath.Join(dir, "pseudonym.json")
	if err := os.Truncate(path, 50); err != nil {
		t.Fatal(err)
	}
	if err := k.Destroy("pseudonym"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Destroy() of a damaged file = %v, want an error", err)
	}
	if k.Pseudonym("alice") != alice || string(k.JWKS()) != signs {
		t.Errorf("a refused Destroy changed keys")
	}
}
