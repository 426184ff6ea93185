package keys_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestlist/server/keys"
)

// A process that knows nothing of a rotation meets a token of the new key.
func TestUnknownKeyIsLookedForAtOnce(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	other := r.open()
	for range 2 {
		r.rotate(other, "signing")
		r.rotate(other, "sealing")
	}
	// The clock stands still: nothing but the unknown id makes it look.
	ahead := &clock{t: start.Add(time.Hour)}
	signer, err := keys.Open(keys.Config{Dir: r.dir, Now: ahead.now})
	if err != nil {
		t.Fatal(err)
	}
	token, _ := r.sign(signer, "ES256")
	if _, err := r.VerifyJWT(token, "at+jwt"); err != nil {
		t.Errorf("VerifyJWT with a key another process added = %v, want no error", err)
	}
	sealed, err := signer.Seal("ticket", []byte("p"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Unseal("ticket", sealed, nil); err != nil {
		t.Errorf("Unseal with a key another process added = %v, want no error", err)
	}
}

func TestOtherProcessesKeysShowWithinASecond(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	other := r.open()
	r.rotate(other, "signing")
	r.clock.set(start.Add(time.Second - 1))
	if got := len(kids(t, r.Keys)); got != 1 {
		t.Errorf("%d keys before a second has passed, want 1: the file is not looked at for every use", got)
	}
	r.clock.set(start.Add(time.Second))
	if got := len(kids(t, r.Keys)); got != 2 {
		t.Errorf("%d keys after a second, want 2", got)
	}
	// It starts to sign with the new key when its maker does.
	r.clock.set(start.Add(10 * time.Minute))
	_, a := r.sign(r.Keys, "ES256")
	_, b := r.sign(other, "ES256")
	if a != b || a != kids(t, other)[1] {
		t.Errorf("two processes sign with %s and %s, want both with the new key", a, b)
	}
}

func TestReload(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	r.rotate(r.open(), "signing")
	if err := r.Reload(); err != nil || len(kids(t, r.Keys)) != 2 {
		t.Errorf("Reload = %v, %d keys, want 2", err, len(kids(t, r.Keys)))
	}
}

// A file that breaks while the server runs changes nothing but Problem, and
// when it is mended the problem is over.
func TestBrokenFileWhileRunning(t *testing.T) {
	for name, broken := range map[string]struct {
		how  func(path string) error
		says string
	}{
		"empty":          {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "damaged"},
		"cut":            {func(path string) error { return os.Truncate(path, 100) }, "damaged"},
		"gone":           {os.Remove, "no such file"},
		"open to others": {func(path string) error { return os.Chmod(path, 0o644) }, "chmod 600"},
		"a directory":    {func(path string) error { return os.Rename(filepath.Dir(path)+"/sub", path) }, ""},
		"for another purpose": {func(path string) error {
			raw, err := os.ReadFile(filepath.Join(filepath.Dir(path), "pseudonym.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(path, raw, 0o600)
		}, "pseudonym"},
	} {
		for _, purpose := range []string{"signing", "sealing"} {
			t.Run(name+" "+purpose, func(t *testing.T) {
				r := newRig(t, emptyDir(t), false)
				if err := os.Mkdir(filepath.Join(r.dir, "sub"), 0o700); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(r.dir, purpose+".json")
				good, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				token, _ := r.sign(r.Keys, "ES256")
				sealed, err := r.Seal("ticket", []byte("p"), nil)
				if err != nil {
					t.Fatal(err)
				}
				set := string(r.JWKS())
				if name == "a directory" {
					os.Remove(path)
				}
				if err := broken.how(path); err != nil {
					t.Fatal(err)
				}
				r.clock.set(start.Add(2 * time.Second))
				works := func(when string) {
					t.Helper()
					if _, err := r.VerifyJWT(token, "at+jwt"); err != nil {
						t.Errorf("%s: VerifyJWT = %v, want no error", when, err)
					}
					if _, err := r.Unseal("ticket", sealed, nil); err != nil {
						t.Errorf("%s: Unseal = %v, want no error", when, err)
					}
					r.sign(r.Keys, "ES256")
					if got := string(r.JWKS()); got != set {
						t.Errorf("%s: key set = %s, want %s", when, got, set)
					}
				}
				works("broken")
				problem := r.Problem()
				if problem == nil || !strings.Contains(problem.Error(), path) || !strings.Contains(problem.Error(), broken.says) {
					t.Errorf("Problem = %v, want %s and %q", problem, path, broken.says)
				}
				if err := r.Rotate(purpose); err == nil {
					t.Error("Rotate of a broken file succeeded, want an error")
				}
				if err := r.Reload(); err == nil {
					t.Error("Reload of a broken file succeeded, want an error")
				}
				works("broken, after Rotate and Reload")
				os.Remove(path)
				if err := os.WriteFile(path, good, 0o600); err != nil {
					t.Fatal(err)
				}
				r.clock.set(start.Add(4 * time.Second))
				works("mended")
				if err := r.Problem(); err != nil {
					t.Errorf("mended: Problem = %v, want none", err)
				}
				r.rotate(r.Keys, purpose)
			})
		}
	}
}

// The clock may be set back; the file is looked at all the same.
func TestClockSetBackStillFollows(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	r.rotate(r.open(), "signing")
	r.clock.set(start.Add(-time.Hour))
	if got := len(kids(t, r.Keys)); got != 2 {
		t.Errorf("%d keys, want 2", got)
	}
}

// Whether a directory that cannot be written to holds keys that are gone is
// told, not fatal.
func TestGoneKeyThatCannotBeRemoved(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	r.rotate(r.Keys, "sealing")
	lockFile := filepath.Join(r.dir, "sealing.json.lock")
	if err := os.Remove(lockFile); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(lockFile, 0o700); err != nil { // no lock can be had, by root neither
		t.Fatal(err)
	}
	r.clock.set(start.Add(3 * time.Hour))
	k := r.open()
	if err := k.Problem(); err == nil || !strings.Contains(err.Error(), "lock key file") {
		t.Errorf("Problem = %v, want that the gone key could not be removed", err)
	}
	if got := states(k, "sealing"); got != "active" {
		t.Errorf("states = %s, want active", got)
	}
	if err := os.Remove(lockFile); err != nil {
		t.Fatal(err)
	}
	r.rotate(k, "sealing")
	if err := k.Problem(); err != nil {
		t.Errorf("after a rotation: Problem = %v, want none", err)
	}
}

func TestExistingMakesAndRemovesNothing(t *testing.T) {
	dir := emptyDir(t)
	if _, err := keys.Open(keys.Config{Dir: dir, Existing: true}); err == nil {
		t.Error("Open of a missing directory succeeded, want an error")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("Open made the directory")
	}
	r := newRig(t, dir, false)
	r.rotate(r.Keys, "signing")
	r.clock.set(start.Add(3 * time.Hour))
	before := snapshot(t, dir)
	k, err := keys.Open(keys.Config{Dir: dir, Existing: true, Now: r.clock.now, RS256: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := states(k, "signing"); got != "active" {
		t.Errorf("states = %s, want active: the other one is gone", got)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("Open changed the directory from\n%s\nto\n%s", before, after)
	}
	if err := os.Remove(filepath.Join(dir, "sealing.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Open(keys.Config{Dir: dir, Existing: true}); err == nil || !strings.Contains(err.Error(), "sealing.json") {
		t.Errorf("Open without sealing.json = %v, want an error that names it", err)
	}
}

// A process that has no key for RS256 looks whether another made one.
func TestAlgorithmIsLookedForAtOnce(t *testing.T) {
	plain := newRig(t, emptyDir(t), false)
	if token, err := plain.SignJWTWith("RS256", "at+jwt", map[string]string{}); err == nil {
		t.Errorf("SignJWTWith without an RS256 key = %q, want an error", token)
	}
	asking := &rig{T: t, dir: plain.dir, clock: plain.clock, rs256: true}
	asking.Keys = asking.open()
	_, want := asking.sign(asking.Keys, "RS256")
	if _, kid := plain.sign(plain.Keys, "RS256"); kid != want {
		t.Errorf("RS256 is signed with %s, want %s", kid, want)
	}
}

// A root user who rotates must not take the files from the server's user. Only
// root can show it; anybody else shows that the files stay theirs.
func TestRotateKeepsTheOwner(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	path := filepath.Join(r.dir, "signing.json")
	owner := os.Geteuid()
	if owner == 0 {
		owner = 65534
		if err := os.Chown(path, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	r.rotate(r.Keys, "signing")
	for _, p := range []string{path, path + ".lock"} {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != owner {
			t.Errorf("owner of %s = %d, want %d", filepath.Base(p), got, owner)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of %s = %04o, want 0600", filepath.Base(p), got)
		}
	}
}
