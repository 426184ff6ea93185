package signin

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// maxTracked bounds how many accounts, and how many sources, are remembered.
const maxTracked = 10_000

func (r Rate) orDefault(def Rate) (Rate, error) {
	if r == (Rate{}) {
		return def, nil
	}
	if r.Burst < 1 || r.Every <= 0 {
		return Rate{}, errors.New("burst and interval must both be positive")
	}
	return r, nil
}

// attempt says whose budgets a sign-in spends.
type attempt struct {
	account [sha256.Size]byte // of the username as typed, so that its length costs no memory
	source  netip.Prefix
}

type throttle struct {
	mu       sync.Mutex
	accounts budgets[[sha256.Size]byte]
	sources  budgets[netip.Prefix]
}

func newThrottle(perAccount, perSource Rate) *throttle {
	return &throttle{
		accounts: budgets[[sha256.Size]byte]{rate: perAccount, full: map[[sha256.Size]byte]time.Time{}},
		sources:  budgets[netip.Prefix]{rate: perSource, full: map[netip.Prefix]time.Time{}},
	}
}

// spend takes one attempt from both budgets and returns zero, or takes
// nothing and returns how long to wait.
func (t *throttle) spend(a attempt, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if wait := max(t.sources.wait(a.source, now), t.accounts.wait(a.account, now)); wait > 0 {
		return wait
	}
	t.sources.take(a.source, now)
	t.accounts.take(a.account, now)
	return 0
}

func (t *throttle) refundAccount(a attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accounts.refund(a.account)
}

// budgets keeps one token bucket per key as the time at which it will be full
// again. A key whose time has passed has spent nothing and needs no entry.
//
// A rate.Limiter per key cannot give a token back, which a success has to.
type budgets[K comparable] struct {
	rate Rate
	full map[K]time.Time
}

func (b *budgets[K]) capacity() time.Duration { return time.Duration(b.rate.Burst) * b.rate.Every }

// fullAt is never before now, nor later than a bucket can need: a clock that
// was set back must not lock anybody out for longer.
func (b *budgets[K]) fullAt(key K, now time.Time) time.Time {
	at := b.full[key]
	if at.Before(now) {
		return now
	}
	if latest := now.Add(b.capacity()); at.After(latest) {
		return latest
	}
	return at
}

func (b *budgets[K]) wait(key K, now time.Time) time.Duration {
	return max(0, b.fullAt(key, now).Add(b.rate.Every).Sub(now)-b.capacity())
}

func (b *budgets[K]) take(key K, now time.Time) {
	if _, tracked := b.full[key]; !tracked && len(b.full) >= maxTracked {
		b.evict()
	}
	b.full[key] = b.fullAt(key, now).Add(b.rate.Every)
}

func (b *budgets[K]) refund(key K) {
	if at, tracked := b.full[key]; tracked {
		b.full[key] = at.Add(-b.rate.Every)
	}
}

// evict forgets the eighth that is full soonest: first the idle, then those
// who spent least, so that a flood of new names cannot wash out the account
// that is under attack.
func (b *budgets[K]) evict() {
	keys := make([]K, 0, len(b.full))
	for key := range b.full {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(x, y K) int { return cmp.Compare(b.full[x].UnixNano(), b.full[y].UnixNano()) })
	for _, key := range keys[:max(1, len(keys)/8)] {
		delete(b.full, key)
	}
}
