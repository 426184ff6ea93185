package keys_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/server/keys"
)

// openDirEnv makes the test binary a program that opens a key directory and
// prints what identifies its keys.
const openDirEnv = "KEYS_TEST_OPEN_DIR"

// rotateEnv makes it rotate the sealing keys that often before.
const rotateEnv = "KEYS_TEST_ROTATE"

// rs256Env makes it ask for an RS256 key.
const rs256Env = "KEYS_TEST_RS256"

func TestMain(m *testing.M) {
	dir := os.Getenv(openDirEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	k, err := keys.Open(keys.Config{Dir: dir, RS256: os.Getenv(rs256Env) != ""})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	times, _ := strconv.Atoi(os.Getenv(rotateEnv))
	for range times {
		if err := k.Rotate("sealing"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Print(identity(k))
}

// identity is equal for two Keys with the same signing and pseudonym keys.
func identity(k *keys.Keys) string {
	return string(k.JWKS()) + " " + k.Pseudonym("x")
}

var purposes = []string{"signing", "sealing", "pseudonym"}

// frozenDir is a copy of testdata/format1 with the modes a key directory has.
func frozenDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range purposes {
		raw, err := os.ReadFile(filepath.Join("testdata", "format1", p+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, p+".json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func mustOpen(t testing.TB, dir string) *keys.Keys {
	t.Helper()
	k, err := keys.Open(keys.Config{Dir: dir})
	if err != nil {
		t.Fatalf("Open(%q) = %v, want no error", dir, err)
	}
	return k
}

func frozen(t *testing.T) *keys.Keys {
	t.Helper()
	return mustOpen(t, frozenDir(t))
}

func fresh(t testing.TB) *keys.Keys {
	t.Helper()
	return mustOpen(t, filepath.Join(t.TempDir(), "keys"))
}

// seal1 gives a file of format 1 its checksum.
func seal1(t *testing.T, purpose string, entries []map[string]any) []byte {
	t.Helper()
	return sealAs(t, 1, purpose, entries)
}

// sealAs gives a file its checksum, by the documented rule and not by the code
// under test.
func sealAs(t *testing.T, format int, purpose string, entries []map[string]any) []byte {
	t.Helper()
	list, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s", format, purpose, list))
	raw, err := json.Marshal(map[string]any{
		"format": format, "purpose": purpose, "keys": json.RawMessage(list), "checksum": "sha256:" + hex.EncodeToString(sum[:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func entriesOf(t *testing.T, path string) []map[string]any {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Keys []map[string]any }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Keys
}

// format1 makes a key as it was written an active one of format 1.
func format1(e map[string]any) map[string]any {
	delete(e, "signs_from")
	e["state"] = "active"
	return e
}

func TestOpenCreatesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "keys")
	at := time.Date(2026, 11, 25, 12, 0, 0, 5, time.FixedZone("", 3600))
	if _, err := keys.Open(keys.Config{Dir: dir, Now: func() time.Time { return at }}); err != nil {
		t.Fatal(err)
	}
	modes := map[string]os.FileMode{dir: 0o700}
	for _, p := range purposes {
		modes[filepath.Join(dir, p+".json")] = 0o600
	}
	for path, want := range modes {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %04o, want %04o", filepath.Base(path), got, want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != len(purposes) {
		t.Errorf("files in the directory = %v, want the %d key files only", left, len(purposes))
	}
	for _, p := range purposes {
		e := entriesOf(t, filepath.Join(dir, p+".json"))
		if len(e) != 1 || e[0]["signs_from"] != "2026-11-25T11:00:00Z" || e[0]["created"] != "2026-11-25T11:00:00Z" {
			t.Errorf("%s.json: %d keys, created %v, used from %v, want 1 and 2026-11-25T11:00:00Z", p, len(e), e[0]["created"], e[0]["signs_from"])
		}
	}
}

func TestRestartKeepsKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first := mustOpen(t, dir)
	token, err := first.SignJWT("at+jwt", map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal("ticket", []byte("p"), []byte("c"))
	if err != nil {
		t.Fatal(err)
	}

	second := mustOpen(t, dir)
	if got, want := identity(second), identity(first); got != want {
		t.Errorf("after restart keys = %s, want %s", got, want)
	}
	if _, err := second.VerifyJWT(token, "at+jwt"); err != nil {
		t.Errorf("after restart VerifyJWT = %v, want no error", err)
	}
	if got, err := second.Unseal("ticket", sealed, []byte("c")); err != nil || string(got) != "p" {
		t.Errorf("after restart Unseal = %q, %v, want %q", got, err, "p")
	}
}

func TestTwoDirectoriesHaveDifferentKeys(t *testing.T) {
	a, b := fresh(t), fresh(t)
	if bytes.Equal(a.JWKS(), b.JWKS()) {
		t.Error("two fresh directories have the same signing key")
	}
	if a.Pseudonym("alice") == b.Pseudonym("alice") {
		t.Error("two fresh directories have the same pseudonym key")
	}
	sealed, err := a.Seal("ticket", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Unseal("ticket", sealed, nil); err == nil {
		t.Error("another directory's Unseal succeeded, want an error")
	}
}

func TestOneKeyWhenManyOpenAtOnce(t *testing.T) {
	for round := range 5 {
		dir := filepath.Join(t.TempDir(), "keys")
		const processes, goroutines = 4, 4
		got := make([]string, processes+goroutines)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				<-start
				if i >= processes {
					k, err := keys.Open(keys.Config{Dir: dir})
					if err != nil {
						got[i] = err.Error()
						return
					}
					got[i] = identity(k)
					return
				}
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), openDirEnv+"="+dir)
				out, err := cmd.CombinedOutput()
				if err != nil {
					out = fmt.Appendf(out, " (%v)", err)
				}
				got[i] = string(out)
			})
		}
		close(start)
		wg.Wait()
		want := identity(mustOpen(t, dir))
		for i, g := range got {
			if g != want {
				t.Errorf("round %d, opener %d: keys = %s, want %s", round, i, g, want)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	signing := func(dir string) string { return filepath.Join(dir, "signing.json") }
	write := func(t *testing.T, path string, raw []byte) {
		t.Helper()
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			raw, err := os.ReadFile(signing(dir))
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.Replace(raw, []byte(old), []byte(new), 1)
			if bytes.Equal(changed, raw) {
				t.Fatalf("%q is not in the file", old)
			}
			write(t, signing(dir), changed)
		}
	}
	edit := func(purpose string, change func(e map[string]any) []map[string]any) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, purpose+".json")
			write(t, path, seal1(t, purpose, change(entriesOf(t, path)[0])))
		}
	}
	set := func(name string, value any) func(map[string]any) []map[string]any {
		return func(e map[string]any) []map[string]any {
			e[name] = value
			return []map[string]any{e}
		}
	}
	otherHalf := func(e map[string]any) []map[string]any {
		e["key"].(map[string]any)["d"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"
		return []map[string]any{e}
	}
	chmod := func(name string, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := []struct {
		name   string
		change func(t *testing.T, dir string)
		file   string
		says   string
	}{
		{"group may read", chmod("signing.json", 0o640), "signing.json", "chmod 600"},
		{"world may read", chmod("sealing.json", 0o604), "sealing.json", "chmod 600"},
		{"group may write", chmod("pseudonym.json", 0o620), "pseudonym.json", "chmod 600"},
		{"everybody may write to the directory", chmod("", 0o777), "keys", "chmod 700"},
		{"empty", func(t *testing.T, dir string) { write(t, signing(dir), nil) }, "signing.json", "not a key file"},
		{"not JSON", func(t *testing.T, dir string) { write(t, signing(dir), []byte("\x00\x01")) }, "signing.json", "not a key file"},
		{"too long", func(t *testing.T, dir string) { write(t, signing(dir), bytes.Repeat([]byte(" "), 1<<20+1)) }, "signing.json", "longer than"},
		{"newer format", replace(`"format": 1`, `"format": 3`), "signing.json", "newer version"},
		{"format raised by hand", replace(`"format": 1`, `"format": 2`), "signing.json", "checksum"},
		{"newer format with unknown members", func(t *testing.T, dir string) { write(t, signing(dir), []byte(`{"format": 7, "sets": []}`)) }, "signing.json", "format 7"},
		{"no format", replace(`"format"`, `"former"`), "signing.json", "not a key file"},
		{"unknown member", replace(`"purpose"`, `"note": 1, "purpose"`), "signing.json", "not a key file"},
		{"data after the end", func(t *testing.T, dir string) {
			raw, err := os.ReadFile(signing(dir))
			if err != nil {
				t.Fatal(err)
			}
			write(t, signing(dir), append(raw, '{'))
		}, "signing.json", "not a key file"},
		{"one letter of a key changed", replace("JyC6DDvJ", "JyC6DDvK"), "signing.json", "checksum"},
		{"state changed by hand", replace(`"active"`, `"retired"`), "signing.json", "checksum"},
		{"file of another purpose", func(t *testing.T, dir string) {
			raw, err := os.ReadFile(filepath.Join(dir, "sealing.json"))
			if err != nil {
				t.Fatal(err)
			}
			write(t, signing(dir), raw)
		}, "signing.json", `"sealing"`},
		{"a directory", func(t *testing.T, dir string) {
			if err := os.Remove(signing(dir)); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(signing(dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "signing.json", "regular file"},
		{"no keys", edit("signing", func(map[string]any) []map[string]any { return nil }), "signing.json", "no active key"},
		{"no active key", edit("sealing", set("state", "retired")), "sealing.json", "no active key"},
		{"unknown state", edit("signing", set("state", "resting")), "signing.json", "unknown state"},
		{"unknown member of a key", edit("signing", set("note", "x")), "signing.json", "list of keys"},
		{"id is not the thumbprint", edit("signing", set("id", "k1")), "signing.json", "thumbprint"},
		{"other algorithm", edit("signing", set("algorithm", "RS256")), "signing.json", "not a private key for RS256"},
		{"halves do not belong together", edit("signing", otherHalf), "signing.json", ""},
		{"short secret", edit("pseudonym", set("key", map[string]string{"kty": "oct", "k": "AAEC"})), "pseudonym.json", "32 bytes"},
		{"key pair for a secret", edit("sealing", set("key", map[string]string{"kty": "EC", "crv": "P-256",
			"x": "JyC6DDvJUmYskQuT1h0fHJShjAax58XITvSZMNNjtlA", "y": "riQ25j2AwBKTC5fn05Y1814h5Fn95yghkCA9SLGKx-c"})), "sealing.json", "secret"},
		{"long sealing id", edit("sealing", set("id", "c2VhbGluZzEx")), "sealing.json", "key id"},
		{"two active keys", edit("sealing", func(e map[string]any) []map[string]any {
			other := maps.Clone(e)
			other["id"] = "c2VhbGluZzI"
			return []map[string]any{e, other}
		}), "sealing.json", "2 active keys"},
		{"id twice", edit("sealing", func(e map[string]any) []map[string]any { return []map[string]any{e, e} }), "sealing.json", "repeated"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := frozenDir(t)
			c.change(t, dir)
			before := snapshot(t, dir)
			_, err := keys.Open(keys.Config{Dir: dir})
			if err == nil {
				t.Fatal("Open succeeded, want an error")
			}
			for _, want := range []string{filepath.Join(filepath.Dir(dir), "keys", strings.TrimPrefix(c.file, "keys")), c.says} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Open = %v, want a message with %q", err, want)
				}
			}
			for _, secret := range []string{"jpsQnnGQ", "AAECAwQF", "ZGVmZ2hp"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("Open = %v, want no key material in it", err)
				}
			}
			if after := snapshot(t, dir); after != before {
				t.Errorf("Open changed the directory from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		raw, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		fmt.Fprintf(&out, "%s %x\n", f.Name(), sha256.Sum256(raw))
	}
	return out.String()
}

func TestOpenNeedsADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, says := range map[string]string{
		"":                           "no path given",
		file:                         "is not a directory",
		filepath.Join(file, "below"): "not a directory",
	} {
		if _, err := keys.Open(keys.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Open(%q) = %v, want an error with %q", dir, err, says)
		}
	}
}

func TestMissingFileIsMadeOthersStay(t *testing.T) {
	dir := frozenDir(t)
	if err := os.Remove(filepath.Join(dir, "sealing.json")); err != nil {
		t.Fatal(err)
	}
	k := mustOpen(t, dir)
	if got, want := identity(k), identity(frozen(t)); got != want {
		t.Errorf("keys = %s, want %s", got, want)
	}
	if _, err := k.Unseal("ticket", frozenSealed, []byte("cookie 1")); err == nil {
		t.Error("Unseal with a new sealing key succeeded, want an error")
	}
}

func TestPseudonym(t *testing.T) {
	k := frozen(t)
	if got, want := k.Pseudonym("alice"), "tLIb76mcQQsMjf9ddt_TbA"; got != want {
		t.Errorf("Pseudonym(alice) = %q, want %q", got, want)
	}
	seen := map[string]string{}
	for _, subject := range []string{"", "alice", "Alice", "alice ", "bob"} {
		p := k.Pseudonym(subject)
		if len(p) != 22 {
			t.Errorf("len(Pseudonym(%q)) = %d, want 22", subject, len(p))
		}
		if other, ok := seen[p]; ok {
			t.Errorf("Pseudonym(%q) = Pseudonym(%q), want different ones", subject, other)
		}
		seen[p] = subject
	}
}

func TestPrintingShowsNoKey(t *testing.T) {
	k := frozen(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); got != "keys(secret)" {
			t.Errorf("Sprintf(%q) = %q, want %q", verb, got, "keys(secret)")
		}
	}
}
