package keys_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/server/keys"
)

// start is when the keys of these tests are made.
var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// clock is set by the test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// rig is a key directory, a clock and a server that runs on them.
type rig struct {
	*testing.T
	dir   string
	clock *clock
	rs256 bool
	*keys.Keys
}

func newRig(t *testing.T, dir string, rs256 bool) *rig {
	t.Helper()
	r := &rig{T: t, dir: dir, clock: &clock{t: start}, rs256: rs256}
	r.Keys = r.open()
	return r
}

// open is another process on the same directory.
func (r *rig) open() *keys.Keys {
	r.Helper()
	k, err := keys.Open(keys.Config{Dir: r.dir, Now: r.clock.now, RS256: r.rs256})
	if err != nil {
		r.Fatalf("Open = %v, want no error", err)
	}
	return k
}

func emptyDir(t *testing.T) string { return filepath.Join(t.TempDir(), "keys") }

// sign returns a token and the key id in its header.
func (r *rig) sign(k *keys.Keys, alg string) (token, kid string) {
	r.Helper()
	token, err := k.SignJWTWith(alg, "at+jwt", map[string]string{"sub": "alice"})
	if err != nil {
		r.Fatalf("SignJWTWith(%s) = %v, want no error", alg, err)
	}
	var header struct{ Alg, Kid string }
	if err := json.Unmarshal(unb64(r, strings.Split(token, ".")[0]), &header); err != nil {
		r.Fatal(err)
	}
	if header.Alg != alg {
		r.Errorf("SignJWTWith(%s) has alg %s in its header", alg, header.Alg)
	}
	return token, header.Kid
}

// rotate fails the test when it fails.
func (r *rig) rotate(k *keys.Keys, purpose string) {
	r.Helper()
	if err := k.Rotate(purpose); err != nil {
		r.Fatalf("Rotate(%s) = %v, want no error", purpose, err)
	}
}

func kids(t testing.TB, k *keys.Keys) []string {
	t.Helper()
	var out []string
	for _, key := range publicKeys(t, k.JWKS()) {
		out = append(out, key.Kid)
	}
	return out
}

// states lists the states of a purpose in order.
func states(k *keys.Keys, purpose string) string {
	var out []string
	for _, i := range k.List() {
		if i.Purpose == purpose {
			out = append(out, i.State)
		}
	}
	return strings.Join(out, " ")
}

// lives are the steps in the life of two keys; the rotation is at start.
var lives = []struct {
	name   string
	at     time.Duration
	states string // of the old and the new key; the old one is gone if it has one word
	old    bool   // the old key is in use
}{
	{"published at once, not used", 0, "active published", true},
	{"last second of waiting", 10*time.Minute - time.Second, "active published", true},
	{"in use", 10 * time.Minute, "retired active", false},
	{"last second of retirement", 130*time.Minute - time.Second, "retired active", false},
	{"gone", 130 * time.Minute, "active", false},
	{"gone for long", 24 * time.Hour, "active", false},
}

func TestSigningKeyLifeToTheSecond(t *testing.T) {
	for _, alg := range []string{"ES256", "RS256"} {
		t.Run(alg, func(t *testing.T) {
			r := newRig(t, emptyDir(t), alg == "RS256")
			token, oldKid := r.sign(r.Keys, alg)
			oldSet := kids(t, r.Keys)
			r.rotate(r.Keys, "signing")
			newSet := kids(t, r.Keys)
			if len(newSet) != 2*len(oldSet) || !slices.Equal(newSet[:len(oldSet)], oldSet) {
				t.Fatalf("key set after rotation = %v, want %v and as many new ones", newSet, oldSet)
			}
			newKid := newSet[len(newSet)-1]
			for _, step := range lives {
				r.clock.set(start.Add(step.at))
				// The process that rotated, and one that starts at this step.
				for name, k := range map[string]*keys.Keys{"running": r.Keys, "restarted": r.open()} {
					var perKey []string
					for _, i := range k.List() {
						if i.Purpose == "signing" && i.Algorithm == alg {
							perKey = append(perKey, i.State)
						}
					}
					if got := strings.Join(perKey, " "); got != step.states {
						t.Errorf("%s, %s: states = %s, want %s", step.name, name, got, step.states)
					}
					wantKid, wantSet, verifies := newKid, newSet, true
					if step.old {
						wantKid = oldKid
					}
					if !strings.Contains(step.states, " ") {
						wantSet, verifies = newSet[len(oldSet):], false
					}
					if _, kid := r.sign(k, alg); kid != wantKid {
						t.Errorf("%s, %s: signs with %s, want %s", step.name, name, kid, wantKid)
					}
					if got := kids(t, k); !slices.Equal(got, wantSet) {
						t.Errorf("%s, %s: key set = %v, want %v", step.name, name, got, wantSet)
					}
					if _, err := k.VerifyJWT(token, "at+jwt"); (err == nil) != verifies {
						t.Errorf("%s, %s: VerifyJWT of the old key's token = %v, want success %v", step.name, name, err, verifies)
					}
				}
			}
			if left := entriesOf(t, filepath.Join(r.dir, "signing.json")); len(left) != len(oldSet) {
				t.Errorf("%d keys in the file after a restart, want %d: what is gone is removed", len(left), len(oldSet))
			}
		})
	}
}

func TestSealingKeyLifeToTheSecond(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	seal := func(k *keys.Keys) string {
		sealed, err := k.Seal("ticket", []byte("p"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	idOf := func(sealed string) string { return string(unb64(t, sealed)[1:9]) }
	old := seal(r.Keys)
	r.rotate(r.Keys, "sealing")
	for _, step := range lives {
		r.clock.set(start.Add(step.at))
		for name, k := range map[string]*keys.Keys{"running": r.Keys, "restarted": r.open()} {
			if got := states(k, "sealing"); got != step.states {
				t.Errorf("%s, %s: states = %s, want %s", step.name, name, got, step.states)
			}
			fresh := seal(k)
			if (idOf(fresh) == idOf(old)) != step.old {
				t.Errorf("%s, %s: sealed with the old key = %v, want %v", step.name, name, !step.old, step.old)
			}
			if _, err := k.Unseal("ticket", fresh, nil); err != nil {
				t.Errorf("%s, %s: Unseal of a fresh value = %v, want no error", step.name, name, err)
			}
			verifies := strings.Contains(step.states, " ")
			if _, err := k.Unseal("ticket", old, nil); (err == nil) != verifies {
				t.Errorf("%s, %s: Unseal of an old ticket = %v, want success %v", step.name, name, err, verifies)
			}
		}
	}
}

func TestRotatingTwiceInARow(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	first, _ := r.sign(r.Keys, "ES256")
	r.rotate(r.Keys, "signing")
	r.clock.set(start.Add(time.Minute))
	r.rotate(r.Keys, "signing")
	set := kids(t, r.Keys)
	if len(set) != 3 {
		t.Fatalf("key set = %v, want three keys", set)
	}
	for _, step := range []struct {
		at   time.Duration
		kid  int
		want string
	}{
		{time.Minute, 0, "active published published"},
		{10*time.Minute - time.Second, 0, "active published published"},
		{10 * time.Minute, 1, "retired active published"},
		{11*time.Minute - time.Second, 1, "retired active published"},
		{11 * time.Minute, 2, "retired retired active"},
		{130 * time.Minute, 2, "retired active"},
		{131 * time.Minute, 2, "active"},
	} {
		r.clock.set(start.Add(step.at))
		if _, kid := r.sign(r.Keys, "ES256"); kid != set[step.kid] {
			t.Errorf("after %v: signs with %s, want key %d of %v", step.at, kid, step.kid, set)
		}
		if got := states(r.Keys, "signing"); got != step.want {
			t.Errorf("after %v: states = %s, want %s", step.at, got, step.want)
		}
		_, err := r.VerifyJWT(first, "at+jwt")
		if verifies := step.at < 130*time.Minute; (err == nil) != verifies {
			t.Errorf("after %v: VerifyJWT of the first token = %v, want success %v", step.at, err, verifies)
		}
	}
}

// At once means in the same second: the key between never signs.
func TestRotatingTwiceAtOnce(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	r.rotate(r.Keys, "signing")
	r.rotate(r.Keys, "signing")
	set := kids(t, r.Keys)
	for at, want := range map[time.Duration]int{0: 0, 10*time.Minute - 1: 0, 10 * time.Minute: 2} {
		r.clock.set(start.Add(at))
		if _, kid := r.sign(r.Keys, "ES256"); kid != set[want] {
			t.Errorf("after %v: signs with %s, want key %d of %v", at, kid, want, set)
		}
	}
}

func TestRotateRemovesWhatIsGone(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	r.rotate(r.Keys, "sealing")
	r.clock.set(start.Add(3 * time.Hour))
	r.rotate(r.Keys, "sealing")
	if left := entriesOf(t, filepath.Join(r.dir, "sealing.json")); len(left) != 2 {
		t.Errorf("%d keys in the file, want 2", len(left))
	}
}

func TestRotateRefuses(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	before := snapshot(t, r.dir)
	for purpose, says := range map[string]string{
		"pseudonym": "never rotated", "": "no keys have the purpose", "Signing": "rotate signing or sealing",
	} {
		if err := r.Rotate(purpose); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Rotate(%q) = %v, want an error with %q", purpose, err, says)
		}
	}
	if after := snapshot(t, r.dir); after != before {
		t.Errorf("a refused rotation changed the directory from\n%s\nto\n%s", before, after)
	}
}

func TestRotateIsBounded(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	for range 15 {
		r.rotate(r.Keys, "signing")
	}
	if err := r.Rotate("signing"); err == nil || !strings.Contains(err.Error(), "2026-11-25T14:10:00Z") {
		t.Errorf("17th key: Rotate = %v, want an error that says when there is room", err)
	}
	r.clock.set(start.Add(130 * time.Minute))
	r.rotate(r.Keys, "signing")
}

// A rotation under a clock that runs years ahead must not stop later ones.
func TestRotateAfterTheClockWasWrong(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	r.clock.set(start.AddDate(70, 0, 0))
	r.rotate(r.Keys, "signing")
	r.clock.set(start)
	r.rotate(r.Keys, "signing")
	set := kids(t, r.Keys)
	r.clock.set(start.Add(10 * time.Minute))
	if _, kid := r.sign(r.Keys, "ES256"); len(set) != 3 || kid != set[2] {
		t.Errorf("signs with %s, want the newest of %v", kid, set)
	}
}

// A machine that starts with its clock in the past has a key all the same.
func TestClockBeforeTheFirstKey(t *testing.T) {
	r := newRig(t, emptyDir(t), false)
	_, want := r.sign(r.Keys, "ES256")
	r.clock.set(start.AddDate(-20, 0, 0))
	for name, k := range map[string]*keys.Keys{"running": r.Keys, "restarted": r.open()} {
		token, kid := r.sign(k, "ES256")
		if _, err := k.VerifyJWT(token, "at+jwt"); kid != want || err != nil {
			t.Errorf("%s: signs with %s, want %s; VerifyJWT = %v", name, kid, want, err)
		}
		if got := states(k, "signing"); got != "active" {
			t.Errorf("%s: state = %s, want active", name, got)
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, cfg := range map[string]keys.Config{
		"published for": {PublishFor: 5 * time.Minute},
		"longer than 5": {PublishFor: -time.Second},
		"retired for":   {RetireAfter: time.Hour},
	} {
		cfg.Dir = emptyDir(t)
		if _, err := keys.Open(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open(%+v) = %v, want an error with %q", cfg, err, name)
		}
	}
}

func TestConfiguredTimes(t *testing.T) {
	c := &clock{t: start}
	k, err := keys.Open(keys.Config{Dir: emptyDir(t), Now: c.now, PublishFor: 6 * time.Minute, RetireAfter: 61 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Rotate("sealing"); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]string{
		6*time.Minute - 1: "active published", 6 * time.Minute: "retired active", 67 * time.Minute: "active",
	} {
		c.set(start.Add(at))
		if got := states(k, "sealing"); got != want {
			t.Errorf("after %v: states = %s, want %s", at, got, want)
		}
	}
}

// Two processes and four goroutines rotate at once: every new key stays.
func TestRotationsAtOnceLoseNothing(t *testing.T) {
	dir := emptyDir(t)
	first := mustOpen(t, dir)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), openDirEnv+"="+dir, rotateEnv+"=3")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("rotating process: %v: %s", err, out)
			}
		})
	}
	for range 4 {
		wg.Go(func() {
			if err := first.Rotate("sealing"); err != nil {
				t.Errorf("Rotate = %v, want no error", err)
			}
		})
	}
	wg.Wait()
	if got := entriesOf(t, filepath.Join(dir, "sealing.json")); len(got) != 1+2*3+4 {
		t.Errorf("%d keys after 10 rotations, want 11", len(got))
	}
	mustOpen(t, dir)
}

func TestListTellsNoSecret(t *testing.T) {
	r := newRig(t, frozenDir(t), false)
	r.rotate(r.Keys, "signing")
	list := r.List()
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range purposes {
		for _, e := range entriesOf(t, filepath.Join(r.dir, p+".json")) {
			for _, member := range []string{"d", "k"} {
				if secret, ok := e["key"].(map[string]any)[member].(string); ok && strings.Contains(string(raw), secret) {
					t.Errorf("List of %s holds the member %s", p, member)
				}
			}
		}
	}
	want := keys.Info{
		Purpose: "signing", ID: frozenKid, Algorithm: "ES256", State: "active", Created: start, SignsFrom: start,
		RetiresAt: start.Add(10 * time.Minute), GoneAt: start.Add(130 * time.Minute),
	}
	if fmt.Sprint(list[0]) != fmt.Sprint(want) {
		t.Errorf("List()[0] = %v, want %v", list[0], want)
	}
	if len(list) != 4 || list[1].State != "published" || list[2].Purpose != "sealing" || list[3].Purpose != "pseudonym" || list[3].State != "active" {
		t.Errorf("List() = %v, want signing (2), sealing, pseudonym", list)
	}
}
