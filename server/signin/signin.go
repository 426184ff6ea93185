// Package signin answers one question: who is the person at this browser?
//
// It knows local accounts. They are a YAML file that operators own, a list of
// username, full_name, email, groups, password and disabled; the file is read
// again when it changes, so a person who is disabled or leaves a group is so
// from the next question on. A file that breaks while the server runs, or
// vanishes, or is emptied, never changes who may sign in: the last good list
// stays and Problem says why.
//
// Usernames and passwords are compared byte for byte, without Unicode or case
// folding. Email addresses are what the operator wrote; nothing here has
// verified them.
//
// SignIn is the only place where a stranger can make the server compute a
// password hash. It asks a throttle first, bounds how many hashes run at once,
// and costs the same whether or not the account exists.
package signin

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"time"

	"guestlist/broker/decisionlog"
)

// ErrWrong is the one answer to an unknown username, a wrong password and a
// disabled account: who has an account is nobody's business.
var ErrWrong = errors.New("wrong username or password")

// Throttled says that this account or this source has failed too often. It
// is the same for usernames that do not exist.
type Throttled struct {
	// RetryAfter is how long the next attempt must wait, always positive.
	RetryAfter time.Duration
}

// Error names the wait, not whether the account or the source was the cause.
func (t *Throttled) Error() string {
	return fmt.Sprintf("too many sign-in attempts, try again in %s", t.RetryAfter.Round(time.Second))
}

// Rate is a budget that refills steadily.
type Rate struct {
	// Burst is how many attempts may be spent at once.
	Burst int
	// Every is the time in which one spent attempt comes back.
	Every time.Duration
}

// Config is what Open needs.
type Config struct {
	// File is people.file. It may be empty, absent or without content when
	// the server starts; nobody can sign in then.
	File string
	// Reloaded is told when another list came into force, and, once for each
	// trouble, what keeps the file from being used; not of the first list. It
	// must not call People. nil: nobody is told.
	Reloaded func(people int, err error)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// PerAccount bounds failed attempts on one username, existing or not.
	// Zero means ten at once and then one every 30 seconds.
	PerAccount Rate
	// PerSource bounds all attempts, successful ones too, from one IPv4
	// address or IPv6 /64. Zero means 30 at once and then one every 2 seconds.
	PerSource Rate
}

// Person is what the people file says about somebody.
type Person struct {
	Username string
	FullName string
	// Email is not verified.
	Email string
	// Groups is never nil and belongs to the caller.
	Groups []string
}

// People is the list of local accounts. It may be used by many goroutines.
type People struct {
	file     string
	now      func() time.Time
	throttle *throttle
	hashing  chan struct{} // one element per running hash
	seed     maphash.Seed

	mu      sync.Mutex // guards the rest
	current *roll
	seen    stamp // of the content that was judged last
	problem error

	reloaded func(people int, err error) // nil: nobody is told
}

// Open reads the people file. It refuses a file that has an error: a server
// that starts has no last good list to fall back on.
func Open(cfg Config) (*People, error) {
	perAccount, err := cfg.PerAccount.orDefault(Rate{Burst: 10, Every: 30 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("throttle per account: %w", err)
	}
	perSource, err := cfg.PerSource.orDefault(Rate{Burst: 30, Every: 2 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("throttle per source: %w", err)
	}
	p := &People{
		file:     cfg.File,
		now:      cfg.Now,
		throttle: newThrottle(perAccount, perSource),
		hashing:  make(chan struct{}, runtime.NumCPU()),
		seed:     maphash.MakeSeed(),
		current:  newRoll(nil),
	}
	if p.now == nil {
		p.now = time.Now
	}
	if _, err := p.Reload(); err != nil {
		return nil, err
	}
	p.reloaded = cfg.Reloaded
	return p, nil
}

// SignIn returns the person whose username and password these are. Source is
// the address of the browser, as the request edge determined it.
//
// It returns ErrWrong, *Throttled, or the error of ctx when that ends while
// the attempt waits for a free processor; such an attempt counts against the
// source, not against the account.
func (p *People) SignIn(ctx context.Context, username, password, source string) (Person, error) {
	key := attempt{account: sha256.Sum256([]byte(username)), source: decisionlog.Subscriber(source)}
	// The budget is spent before the hash and given back afterwards, so that
	// parallel guesses cannot all pass while none has failed yet.
	if wait := p.throttle.spend(key, p.now()); wait > 0 {
		return Person{}, &Throttled{RetryAfter: wait}
	}
	person, err := p.check(ctx, username, password)
	if !errors.Is(err, ErrWrong) {
		p.throttle.refundAccount(key)
	}
	return person, err
}

func (p *People) check(ctx context.Context, username, password string) (Person, error) {
	release, err := p.acquire(ctx)
	if err != nil {
		return Person{}, err
	}
	defer release()
	r := p.roll()
	acc, known := r.byName[username]
	if !known {
		acc = r.decoy(maphash.String(p.seed, username))
	}
	fits := len(password) <= maxPasswordBytes
	if !fits {
		password = password[:maxPasswordBytes]
	}
	if matches := acc.hash.matches([]byte(password)); !matches || !fits || !known || acc.Disabled {
		return Person{}, ErrWrong
	}
	return acc.person(), nil
}

func (p *People) acquire(ctx context.Context) (release func(), err error) {
	err = ctx.Err()
	if err == nil {
		select {
		case p.hashing <- struct{}{}:
			return func() { <-p.hashing }, nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	return nil, fmt.Errorf("wait for a free processor to check a password: %w", err)
}

// Lookup returns what the people file says now about username; false when it
// does not know the name or the account is disabled. It costs one stat of the
// file, and a read when that changed.
func (p *People) Lookup(username string) (Person, bool) {
	acc, known := p.roll().byName[username]
	if !known || acc.Disabled {
		return Person{}, false
	}
	return acc.person(), true
}

// Count returns how many people may sign in now.
func (p *People) Count() int {
	n := 0
	for _, acc := range p.roll().accounts {
		if !acc.Disabled {
			n++
		}
	}
	return n
}

// account is an entry of the file that is ready for use.
type account struct {
	Entry
	hash phc
}

func (a *account) person() Person {
	return Person{
		Username: a.Username,
		FullName: a.FullName,
		Email:    a.Email,
		Groups:   append([]string{}, a.Groups...),
	}
}

// roll is one reading of the people file; it never changes.
type roll struct {
	accounts []*account
	byName   map[string]*account
}

func newRoll(accounts []*account) *roll {
	r := &roll{accounts: slices.Clone(accounts), byName: make(map[string]*account, len(accounts))}
	for _, acc := range accounts {
		r.byName[acc.Username] = acc
	}
	return r
}

// decoy returns the account against which the password of an unknown username
// is checked, to no effect. It is drawn from the real ones, so that where
// their parameters differ, unknown usernames cost what known ones do, and
// always the same for one username.
func (r *roll) decoy(draw uint64) *account {
	if len(r.accounts) == 0 {
		return &account{hash: phc{cost: defaultCost, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}}
	}
	return r.accounts[draw%uint64(len(r.accounts))]
}
