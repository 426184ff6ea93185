package grants

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
)

const (
	// maxKeySets bounds the fetched key sets in memory, each at most 12 KiB.
	maxKeySets = 1000
	// refetchAfter is how long a fetched set stands before an unknown key is
	// a reason to look again.
	refetchAfter = time.Minute
	// failureKept is how long nobody asks again behind a failure.
	failureKept = 10 * time.Second
)

// Fetcher brings the key set behind a jwks_uri. *fetch.Guarded is the one that
// the program uses.
type Fetcher interface {
	JWKS(ctx context.Context, url cimd.ID, lim fetch.Limits) (fetch.Document, error)
}

// keySets keeps fetched key sets in memory for as long as their hosts allow.
type keySets struct {
	fetch Fetcher // nil: none is fetched
	now   func() time.Time

	mu   sync.Mutex
	sets map[keySetName]*keySet
}

// keySetName is what a fetch depends on.
type keySetName struct {
	uri       string
	allowPort bool
	cidrs     string // of settings.network, with spaces between
	proxy     string // of settings.network
}

// limits are the bounds of its fetch.
func (n keySetName) limits() fetch.Limits {
	lim := fetch.JWKSLimits()
	lim.AllowPort = n.allowPort
	lim.Network = broker.NetworkSettings{AllowCIDRs: strings.Fields(n.cidrs), EgressProxy: n.proxy}.Fetch()
	return lim
}

// keySet is one fetched set. Its lock is held while it is fetched, so that
// those who wait find what the first one got.
type keySet struct {
	mu         sync.Mutex
	keys       []byte // as cimd.ParseJWKS returns them; nil: none yet
	fetchedAt  time.Time
	freshUntil time.Time
	failedAt   time.Time
	err        error // of the last fetch
}

// get returns the keys behind a jwks_uri and when they were fetched. unless is
// the time of a set that did not do: a set of that time is fetched again, once
// it is a minute old. Zero: any fresh set will do.
func (k *keySets) get(ctx context.Context, name keySetName, unless time.Time) ([]byte, time.Time, error) {
	if k.fetch == nil {
		return nil, time.Time{}, errors.New("this server fetches no keys")
	}
	s := k.entry(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := k.now()
	enough := now.Before(s.freshUntil)
	if !unless.IsZero() && s.fetchedAt.Equal(unless) {
		enough = enough && now.Before(s.fetchedAt.Add(refetchAfter))
	}
	switch {
	case s.keys != nil && enough:
		return s.keys, s.fetchedAt, nil
	case s.err != nil && now.Before(s.failedAt.Add(failureKept)):
		return nil, time.Time{}, s.err
	}
	if s.err = k.bring(ctx, name, s); s.err != nil {
		s.failedAt = now
		return nil, time.Time{}, s.err
	}
	return s.keys, s.fetchedAt, nil
}

// bring fetches one set. The caller that leaves does not end the fetch: others
// may wait for it.
func (k *keySets) bring(ctx context.Context, name keySetName, s *keySet) error {
	uri, err := cimd.Parse(name.uri)
	if err != nil {
		return fmt.Errorf("jwks_uri: %w", err)
	}
	got, err := k.fetch.JWKS(context.WithoutCancel(ctx), uri, name.limits())
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	parsed, err := cimd.ParseJWKS(got.Body)
	if err != nil {
		return fmt.Errorf("read fetched keys: %w", err)
	}
	s.keys, s.fetchedAt, s.freshUntil = parsed, got.FetchedAt, got.FetchedAt.Add(got.FreshFor)
	return nil
}

// entry returns the place of a set, and makes room for it when it is new: any
// other set may have to be fetched again.
func (k *keySets) entry(name keySetName) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.sets[name]; ok {
		return s
	}
	if k.sets == nil {
		k.sets = map[keySetName]*keySet{}
	}
	for other := range k.sets {
		if len(k.sets) < maxKeySets {
			break
		}
		delete(k.sets, other)
	}
	s := &keySet{}
	k.sets[name] = s
	return s
}
