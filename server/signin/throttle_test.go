package signin_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"guestlist/server/signin"
)

// wait returns how long a failing attempt is told to wait, zero if it was let
// through to ErrWrong.
func wait(t *testing.T, p *signin.People, username, source string) time.Duration {
	t.Helper()
	_, err := p.SignIn(t.Context(), username, "wrong password", source)
	var throttled *signin.Throttled
	if errors.As(err, &throttled) {
		if throttled.RetryAfter <= 0 {
			t.Errorf("RetryAfter = %v, want a positive time", throttled.RetryAfter)
		}
		return throttled.RetryAfter
	}
	if err != signin.ErrWrong {
		t.Fatalf("SignIn(%q) from %s = %v, want %v", username, source, err, signin.ErrWrong)
	}
	return 0
}

// Ten failures, then one every 30 seconds, wherever they come from; the same
// for a username that does not exist.
func TestTrapF12ThrottlePerAccount(t *testing.T) {
	file := write(t, people)
	for _, username := range []string{"ada", "nobody", "gone"} {
		t.Run(username, func(t *testing.T) {
			c := newClock()
			p := open(t, signin.Config{File: file, Now: c.Now})
			for i := range 10 {
				if got := wait(t, p, username, fmt.Sprintf("192.0.2.%d", i)); got != 0 {
					t.Fatalf("failure %d waits %v, want 0", i+1, got)
				}
			}
			if got := wait(t, p, username, "198.51.100.1"); got != 30*time.Second {
				t.Errorf("failure 11 waits %v, want 30s", got)
			}
			if got := wait(t, p, "ben", "198.51.100.1"); got != 0 {
				t.Errorf("another account waits %v, want 0", got)
			}
			c.Move(29 * time.Second)
			if got := wait(t, p, username, "198.51.100.1"); got != time.Second {
				t.Errorf("after 29s the wait is %v, want 1s", got)
			}
			c.Move(time.Second)
			if got := wait(t, p, username, "198.51.100.1"); got != 0 {
				t.Errorf("after 30s the wait is %v, want 0", got)
			}
			if got := wait(t, p, username, "198.51.100.1"); got != 30*time.Second {
				t.Errorf("the next one waits %v, want 30s", got)
			}
		})
	}
}

// The throttle is asked before the password: a right one is not an oracle.
func TestThrottledBeforeHashing(t *testing.T) {
	p := open(t, signin.Config{File: write(t, people), Now: newClock().Now, PerAccount: signin.Rate{Burst: 1, Every: time.Minute}})
	wait(t, p, "ada", "192.0.2.1")
	_, err := p.SignIn(t.Context(), "ada", password, "192.0.2.2")
	var throttled *signin.Throttled
	if !errors.As(err, &throttled) || throttled.RetryAfter != time.Minute {
		t.Fatalf("SignIn with the right password when throttled = %v, want a wait of 1m", err)
	}
	if want := "too many sign-in attempts, try again in 1m0s"; err.Error() != want {
		t.Errorf("Error() = %q, want %q", err.Error(), want)
	}
}

func TestSuccessSpendsSourceNotAccount(t *testing.T) {
	p := open(t, signin.Config{
		File: write(t, people), Now: newClock().Now,
		PerAccount: signin.Rate{Burst: 2, Every: time.Hour},
		PerSource:  signin.Rate{Burst: 20, Every: time.Hour},
	})
	for i := range 20 {
		if _, err := p.SignIn(t.Context(), "ada", password, "192.0.2.1"); err != nil {
			t.Fatalf("success %d = %v, want nil", i+1, err)
		}
	}
	if got := wait(t, p, "ben", "192.0.2.1"); got != time.Hour {
		t.Errorf("attempt 21 from one source waits %v, want 1h", got)
	}
	for i, want := range []time.Duration{0, 0, time.Hour} {
		if got := wait(t, p, "ada", "192.0.2.2"); got != want {
			t.Errorf("failure %d after the successes waits %v, want %v: they neither spend nor earn", i+1, got, want)
		}
	}
}

func TestThrottlePerSource(t *testing.T) {
	tests := []struct {
		name, first, second string
		shared              bool
	}{
		{"the same IPv4 address", "192.0.2.1", "192.0.2.1", true},
		{"other IPv4 address", "192.0.2.1", "192.0.2.2", false},
		{"IPv4 mapped into IPv6", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"other IPv4 mapped into IPv6", "::ffff:192.0.2.2", "::ffff:192.0.2.1", false},
		{"one IPv6 /64", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"next IPv6 /64", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"zone", "fe80::1%eth0", "fe80::1%eth1", true},
		{"port", "192.0.2.1:1", "192.0.2.1:2", true},
		{"IPv6 port", "[2001:db8::1]:1", "2001:db8::1", true},
		{"no addresses", "@", "unix", true},
	}
	file := write(t, people)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			p := open(t, signin.Config{File: file, Now: c.Now})
			for i := range 30 {
				if got := wait(t, p, fmt.Sprintf("user%d", i), tt.first); got != 0 {
					t.Fatalf("attempt %d waits %v, want 0", i+1, got)
				}
			}
			if got := wait(t, p, "user30", tt.first); got != 2*time.Second {
				t.Errorf("attempt 31 waits %v, want 2s", got)
			}
			if got := wait(t, p, "user31", tt.second) > 0; got != tt.shared {
				t.Errorf("attempt from %s throttled = %v, want %v", tt.second, got, tt.shared)
			}
		})
	}
}

// Guesses that run at the same time must not all pass before one has failed.
func TestThrottleParallelGuesses(t *testing.T) {
	p := open(t, signin.Config{File: write(t, people), Now: newClock().Now, PerAccount: signin.Rate{Burst: 3, Every: time.Hour}})
	var wg sync.WaitGroup
	var mu sync.Mutex
	wrong := 0
	for range 20 {
		wg.Go(func() {
			_, err := p.SignIn(t.Context(), "ada", "wrong password", "192.0.2.1")
			mu.Lock()
			defer mu.Unlock()
			if err == signin.ErrWrong {
				wrong++
			}
		})
	}
	wg.Wait()
	if wrong != 3 {
		t.Errorf("%d of 20 parallel guesses reached the password, want 3", wrong)
	}
}

// A clock that was an hour ahead and is set back must not lock out for longer
// than an exhausted budget does.
func TestThrottleClockSetBack(t *testing.T) {
	c := newClock()
	p := open(t, signin.Config{File: write(t, people), Now: c.Now, PerAccount: signin.Rate{Burst: 1, Every: time.Minute}})
	c.Move(time.Hour)
	wait(t, p, "ada", "192.0.2.1")
	c.Move(-time.Hour)
	if got := wait(t, p, "ada", "192.0.2.1"); got != time.Minute {
		t.Errorf("after the clock was set back the wait is %v, want 1m", got)
	}
}

// A flood of invented usernames from everywhere fills the memory of the
// throttle; the account under attack stays throttled.
func TestThrottleFloodKeepsTheAttacked(t *testing.T) {
	p := open(t, signin.Config{File: write(t, people), Now: newClock().Now, PerAccount: signin.Rate{Burst: 5, Every: time.Hour}})
	for range 5 {
		wait(t, p, "ada", "192.0.2.1")
	}
	for i := range 12_000 {
		wait(t, p, fmt.Sprintf("invented%d", i), fmt.Sprintf("10.%d.%d.1", i>>8, i&255))
	}
	if accounts, sources := p.Tracked(); accounts > 10_000 || sources > 10_000 {
		t.Errorf("the throttle remembers %d accounts and %d sources, want at most 10000", accounts, sources)
	}
	if got := wait(t, p, "ada", "198.51.100.1"); got != time.Hour {
		t.Errorf("after a flood the attacked account waits %v, want 1h", got)
	}
	if got := wait(t, p, "invented0", "198.51.100.1"); got != 0 {
		t.Errorf("an idle account waits %v, want 0", got)
	}
}
