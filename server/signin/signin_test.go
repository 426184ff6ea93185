package signin_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/argon2"

	"guestlist/server/signin"
)

const password = "correct horse"

// cheap is a PHC string that costs next to nothing to check.
func cheap(pw string) string { return phc(pw, 8, 1, 1) }

func phc(pw string, memory, passes uint32, threads uint8) string {
	salt := []byte("saltsaltsaltsalt")
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, passes, threads,
		b64(salt), b64(argon2.IDKey([]byte(pw), salt, passes, memory, threads, 32)))
}

var people = `# who may sign in
- username: ada
  full_name: Ada L.
  email: ada@corp.example
  groups: [eng, admins]
  password: ` + cheap(password) + `

- username: ben
  password: ` + cheap("another secret") + ` # new
- username: gone
  disabled: true
  password: ` + cheap(password) + `
`

func write(t *testing.T, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "people.yaml")
	rewrite(t, file, content)
	return file
}

func rewrite(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t *testing.T, cfg signin.Config) *signin.People {
	t.Helper()
	p, err := signin.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSignIn(t *testing.T) {
	ada := signin.Person{Username: "ada", FullName: "Ada L.", Email: "ada@corp.example", Groups: []string{"eng", "admins"}}
	tests := []struct {
		name, username, password string
		want                     signin.Person
		err                      error
	}{
		{"right password", "ada", password, ada, nil},
		{"no optional members", "ben", "another secret", signin.Person{Username: "ben", Groups: []string{}}, nil},
		{"wrong password", "ada", "correct hors", signin.Person{}, signin.ErrWrong},
		{"newline is part of a password", "ada", password + "\n", signin.Person{}, signin.ErrWrong},
		{"password of somebody else", "ben", password, signin.Person{}, signin.ErrWrong},
		{"empty password", "ada", "", signin.Person{}, signin.ErrWrong},
		{"unknown with a password somebody has", "eve", password, signin.Person{}, signin.ErrWrong},
		{"disabled with the right password", "gone", password, signin.Person{}, signin.ErrWrong},
		{"usernames are exact", "Ada", password, signin.Person{}, signin.ErrWrong},
		{"empty username", "", password, signin.Person{}, signin.ErrWrong},
		{"PHC string is no password", "ada", cheap(password), signin.Person{}, signin.ErrWrong},
	}
	p := open(t, signin.Config{File: write(t, people), Now: newClock().Now})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := p.SignIn(t.Context(), tt.username, tt.password, "192.0.2.1")
			if err != tt.err || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("SignIn(%q, %q) = %+v, %v, want %+v, %v", tt.username, tt.password, got, err, tt.want, tt.err)
			}
		})
	}
}

// What 1024 bytes match, 1025 bytes that begin with them must not.
func TestSignInLongPassword(t *testing.T) {
	long := strings.Repeat("x", 1024)
	p := open(t, signin.Config{File: write(t, "- {username: ada, password: '"+cheap(long)+"'}"), Now: newClock().Now})
	if _, err := p.SignIn(t.Context(), "ada", long, "192.0.2.1"); err != nil {
		t.Errorf("SignIn(1024 bytes) = %v, want nil", err)
	}
	if _, err := p.SignIn(t.Context(), "ada", long+"x", "192.0.2.1"); err != signin.ErrWrong {
		t.Errorf("SignIn(1025 bytes) = %v, want %v", err, signin.ErrWrong)
	}
}

// Vectors of the argon2 reference implementation.
func TestSignInOtherParameters(t *testing.T) {
	for _, hash := range []string{
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		p := open(t, signin.Config{File: write(t, "- {username: ada, password: '"+hash+"'}"), Now: newClock().Now})
		if _, err := p.SignIn(t.Context(), "ada", "password", "192.0.2.1"); err != nil {
			t.Errorf("SignIn against %s = %v, want nil", hash, err)
		}
		if _, err := p.SignIn(t.Context(), "ada", "passwore", "192.0.2.1"); err != signin.ErrWrong {
			t.Errorf("SignIn against %s with another password = %v, want %v", hash, err, signin.ErrWrong)
		}
	}
}

// TestTrapF12SignInCostsTheSame measures the memory that argon2 fills: whoever the
// attempt is about, one hash with the parameters of the file is computed.
func TestTrapF12SignInCostsTheSame(t *testing.T) {
	const fileKiB, defaultKiB = 4096, 19 * 1024
	costly := phc(password, fileKiB, 1, 1)
	file := write(t, "- {username: ada, password: '"+costly+"'}\n- {username: gone, disabled: true, password: '"+costly+"'}")
	tests := []struct {
		name, file, username, password string
		wantKiB                        uint64
	}{
		{"right", file, "ada", password, fileKiB},
		{"wrong", file, "ada", "something else", fileKiB},
		{"disabled", file, "gone", password, fileKiB},
		{"unknown", file, "eve", password, fileKiB},
		{"impossible username", file, "no such\x00name", password, fileKiB},
		{"too long password", file, "ada", strings.Repeat("x", 5000), fileKiB},
		{"empty password", file, "ada", "", fileKiB},
		{"nobody there", "", "ada", password, defaultKiB},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := open(t, signin.Config{File: tt.file, Now: newClock().Now})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p.SignIn(t.Context(), tt.username, tt.password, "192.0.2.1")
			runtime.ReadMemStats(&after)
			got := (after.TotalAlloc - before.TotalAlloc) / 1024
			if got < tt.wantKiB || got > tt.wantKiB+512 {
				t.Errorf("SignIn(%q) filled %d KiB, want %d", tt.username, got, tt.wantKiB)
			}
		})
	}
}

func TestSignInContextEnds(t *testing.T) {
	p := open(t, signin.Config{File: write(t, people), Now: newClock().Now, PerAccount: signin.Rate{Burst: 1, Every: time.Hour}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 { // also when a place is free
		if _, err := p.SignIn(ctx, "ada", password, "192.0.2.1"); !errors.Is(err, context.Canceled) {
			t.Fatalf("SignIn with an ended context = %v, want %v", err, context.Canceled)
		}
	}
	if _, err := p.SignIn(t.Context(), "ada", password, "192.0.2.1"); err != nil {
		t.Errorf("SignIn afterwards = %v, want nil: the account budget is untouched", err)
	}
}

// Trap F12: no more hashes than cores; who waits for one can give up.
func TestTrapF12SignInWaitsForAProcessor(t *testing.T) {
	file := write(t, people)
	synctest.Test(t, func(t *testing.T) {
		p := open(t, signin.Config{File: file})
		if got := p.Places(); got != runtime.NumCPU() {
			t.Errorf("%d hashes may run at once, want %d", got, runtime.NumCPU())
		}
		release := p.Occupy()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.SignIn(ctx, "ada", password, "192.0.2.1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SignIn that waits too long = %v, want %v", err, context.DeadlineExceeded)
		}
		answer := make(chan error, 1)
		go func() {
			_, err := p.SignIn(t.Context(), "ada", password, "192.0.2.1")
			answer <- err
		}()
		synctest.Wait()
		if len(answer) != 0 {
			t.Error("SignIn answers while all places are taken, want it to wait")
		}
		release()
		if err := <-answer; err != nil {
			t.Errorf("SignIn once a place is free = %v, want nil", err)
		}
	})
}

func TestLookup(t *testing.T) {
	p := open(t, signin.Config{File: write(t, people)})
	tests := []struct {
		username string
		want     bool
	}{{"ada", true}, {"ben", true}, {"gone", false}, {"eve", false}, {"", false}}
	for _, tt := range tests {
		got, ok := p.Lookup(tt.username)
		if ok != tt.want || (ok && got.Username != tt.username) || (!ok && !reflect.DeepEqual(got, signin.Person{})) {
			t.Errorf("Lookup(%q) = %+v, %v, want %v", tt.username, got, ok, tt.want)
		}
	}
	first, _ := p.Lookup("ada")
	first.Groups[0] = "changed by the caller"
	if again, _ := p.Lookup("ada"); again.Groups[0] != "eng" {
		t.Errorf("Lookup(ada).Groups = %q, want the list untouched by callers", again.Groups)
	}
}

func TestOpenRefusesRates(t *testing.T) {
	for _, rate := range []signin.Rate{{Burst: -1, Every: time.Second}, {Burst: 1}, {Every: time.Second}, {Burst: 1, Every: -1}} {
		if _, err := signin.Open(signin.Config{PerAccount: rate}); err == nil {
			t.Errorf("Open(PerAccount: %+v) = nil, want an error", rate)
		}
		if _, err := signin.Open(signin.Config{PerSource: rate}); err == nil {
			t.Errorf("Open(PerSource: %+v) = nil, want an error", rate)
		}
	}
}

// For the race detector: everything at once, while the file is edited.
func TestConcurrentUse(t *testing.T) {
	file := write(t, people)
	p := open(t, signin.Config{File: file, Now: newClock().Now, PerSource: signin.Rate{Burst: 1000, Every: time.Second}})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				if _, err := p.SignIn(t.Context(), "ada", password, "192.0.2.1"); err != nil {
					t.Errorf("SignIn(ada) = %v, want nil", err)
				}
				if _, ok := p.Lookup("ben"); !ok {
					t.Error("Lookup(ben) = false, want true")
				}
				p.SignIn(t.Context(), fmt.Sprintf("u%d-%d", i, j), password, "192.0.2.1")
			}
		})
	}
	for i := range 20 {
		next := file + ".next"
		rewrite(t, next, people+strings.Repeat("\n", i))
		if err := os.Rename(next, file); err != nil {
			t.Fatal(err)
		}
		if err := p.Problem(); err != nil {
			t.Errorf("Problem() = %v, want nil", err)
		}
	}
	wg.Wait()
}
