package grants

import (
	"context"
	"errors"
	"fmt"
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
	// staleKeys bounds how long a set stands in for its host in transient
	// trouble. It is shorter than a document may: a key that was stolen and
	// withdrawn must not verify for a day.
	staleKeys = time.Hour
)

// Fetcher brings the key set behind a jwks_uri. *fetch.Guarded is the one that
// the program uses.
type Fetcher interface {
	JWKS(ctx context.Context, url cimd.ID, lim fetch.Limits) (fetch.Document, error)
}

// keySets keeps fetched key sets in memory for as long as their hosts allow,
// for all clients that name them together.
type keySets struct {
	fetch Fetcher // nil: none is fetched
	now   func() time.Time

	mu   sync.Mutex
	sets map[keySetName]*keySet
}

// keySetName keeps apart what is fetched apart: by the settings of the grant, so
// that a host that one client reaches and another does not has two places.
type keySetName struct {
	uri       string
	allowPort bool
	cidrs     string // of settings.network, with spaces between
	proxy     string // of settings.network
}

// limits are the bounds of its fetch, by the way that is open now.
func (n keySetName) limits(way broker.NetworkSettings) fetch.Limits {
	lim := fetch.JWKSLimits()
	lim.AllowPort = n.allowPort
	lim.Network = way.Fetch()
	return lim
}

// keysWanted asks for a key set.
type keysWanted struct {
	keySetName
	unless time.Time                              // a set fetched then did not do: a newer one, once it is a minute old; zero: any
	stale  time.Duration                          // how long behind its freshness a set does while its host is in transient trouble
	may    func() (broker.NetworkSettings, error) // asked before a fetch for the way to it; its error is this caller's alone
}

// fetchedKeys is a key set that does.
type fetchedKeys struct {
	jwks   []byte            // as cimd.ParseJWKS returns them
	prints []broker.KeyPrint // of jwks
	at     time.Time         // when they were fetched
}

// keySet is one fetched set. Its lock is held while it is fetched, so that
// those who wait find what the first one got.
type keySet struct {
	mu         sync.Mutex
	keys       fetchedKeys // jwks is nil: none
	freshUntil time.Time
	failedAt   time.Time
	err        error // of the last fetch
}

// get returns a key set. A fetch that fails for good ends the set that was
// there; in transient trouble it stands in for its host for a while.
func (k *keySets) get(ctx context.Context, w keysWanted) (fetchedKeys, error) {
	if k.fetch == nil {
		return fetchedKeys{}, errors.New("this server fetches no keys")
	}
	s := k.entry(w.keySetName)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := k.now()
	newer := !w.unless.IsZero() && s.keys.at.Equal(w.unless)
	switch {
	case s.keys.jwks == nil:
	case now.Before(s.freshUntil) && (!newer || now.Before(s.keys.at.Add(refetchAfter))):
		return s.keys, nil
	}
	if s.err == nil || !now.Before(s.failedAt.Add(failureKept)) {
		way, err := w.may()
		if err != nil {
			return fetchedKeys{}, err
		}
		s.failedAt, s.err = now, k.bring(ctx, w.keySetName, way, s)
	}
	if s.err == nil || !newer && s.keys.jwks != nil && now.Before(s.freshUntil.Add(w.stale)) {
		return s.keys, nil
	}
	return fetchedKeys{}, s.err
}

// bring fetches one set. The caller that leaves does not end the fetch: others
// may wait for it.
func (k *keySets) bring(ctx context.Context, name keySetName, way broker.NetworkSettings, s *keySet) error {
	uri, err := cimd.Parse(name.uri)
	if err != nil {
		return fmt.Errorf("jwks_uri: %w", err)
	}
	got, err := k.fetch.JWKS(context.WithoutCancel(ctx), uri, name.limits(way))
	if fe := (*fetch.Error)(nil); errors.As(err, &fe) && fe.Transient {
		return fmt.Errorf("fetch keys: %w", err)
	}
	s.keys = fetchedKeys{}
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	jwks, err := cimd.ParseJWKS(got.Body)
	if err != nil {
		return fmt.Errorf("read fetched keys: %w", err)
	}
	prints, err := broker.Prints(jwks)
	if err != nil {
		return fmt.Errorf("read fetched keys: %w", err)
	}
	s.keys, s.freshUntil = fetchedKeys{jwks, prints, got.FetchedAt}, got.FetchedAt.Add(got.FreshFor)
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
