package grants

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
)

const (
	oneKey     = `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
	privateKey = `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","d":"AA","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`
)

// hosts is every host of a jwks_uri, and the clock. It counts what it is asked.
type hosts struct {
	at   time.Time
	hits int
	body string
	err  error
}

func (h *hosts) now() time.Time { return h.at }

func (h *hosts) JWKS(_ context.Context, _ cimd.ID, lim fetch.Limits) (fetch.Document, error) {
	h.hits++
	if lim.MaxBytes != 12<<10 || lim.Floor != time.Minute || lim.Ceiling != 24*time.Hour {
		return fetch.Document{}, fmt.Errorf("limits %+v", lim)
	}
	return fetch.Document{Body: []byte(h.body), FetchedAt: h.at, FreshFor: time.Hour}, h.err
}

func newHosts() (*hosts, *keySets) {
	h := &hosts{at: time.Unix(1e9, 0), body: oneKey}
	return h, &keySets{fetch: h, now: h.now}
}

// want asks for the keys of a URL, for a client that may have them fetched.
func want(uri string) keysWanted {
	return keysWanted{keySetName: keySetName{uri: uri}, stale: time.Hour, may: func() (broker.NetworkSettings, error) { return broker.NetworkSettings{}, nil }}
}

// TestKeySetLimits is G-18 for keys: what settings open for a client now is open
// for its keys, and nothing that only its grant's settings say.
func TestKeySetLimits(t *testing.T) {
	way := broker.NetworkSettings{AllowCIDRs: []string{"10.1.0.0/16", "fd12::/32"}, EgressProxy: "http://proxy.example.com:3128"}
	lim := keySetName{allowPort: true}.limits(way)
	want := fetch.JWKSLimits()
	want.AllowPort = true
	want.Network = fetch.Network{
		AllowCIDRs:  []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/32")},
		EgressProxy: "http://proxy.example.com:3128",
	}
	if !reflect.DeepEqual(lim, want) {
		t.Errorf("limits() = %+v, want %+v", lim, want)
	}
	if lim := (keySetName{cidrs: "10.1.0.0/16"}).limits(broker.NetworkSettings{}); !reflect.DeepEqual(lim, fetch.JWKSLimits()) {
		t.Errorf("limits() = %+v, want %+v", lim, fetch.JWKSLimits())
	}
}

// TestKeySetsAreBounded is CU-06, B-rows on memory: whoever brings many key
// sets makes others be fetched again, and nothing grow.
func TestKeySetsAreBounded(t *testing.T) {
	h, k := newHosts()
	for i := range maxKeySets + 50 {
		for range 2 {
			if _, err := k.get(t.Context(), want(fmt.Sprintf("https://c%d.example.com/jwks", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(k.sets) != maxKeySets || h.hits != maxKeySets+50 {
		t.Errorf("%d sets kept, %d fetches; want %d, %d", len(k.sets), h.hits, maxKeySets, maxKeySets+50)
	}
}

// TestKeySetsOneFetch: those who come at once share one fetch.
func TestKeySetsOneFetch(t *testing.T) {
	h, k := newHosts()
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := k.get(t.Context(), want("https://c.example.com/jwks"))
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if h.hits != 1 {
		t.Errorf("%d fetches, want 1", h.hits)
	}
	if _, err := (&keySets{now: h.now}).get(t.Context(), want("https://c.example.com/jwks")); err == nil {
		t.Error("get without a fetcher = nil error")
	}
}

// TestKeySetsInTrouble is CU-06: a set stands in for its host in transient
// trouble, to the second and no longer than settings say, and never for a key
// it does not have; what the host says for good ends it (B42 included).
func TestKeySetsInTrouble(t *testing.T) {
	const uri = "https://c.example.com/jwks"
	down, gone := &fetch.Error{Reason: "fetch_timeout", Transient: true}, &fetch.Error{Reason: "fetch_status"}
	for _, c := range []struct {
		name  string
		err   error
		body  string
		after time.Duration // of the trouble, from the first fetch
		stale time.Duration
		newer bool // the set that is there did not do
		ok    bool
		hits  int // of two requests in the same second
	}{
		{"fresh", down, oneKey, time.Hour - time.Second, time.Hour, false, true, 1},
		{"stale from now on", down, oneKey, time.Hour, time.Hour, false, true, 2},
		{"stale to the last second", down, oneKey, 2*time.Hour - time.Second, time.Hour, false, true, 2},
		{"stale no longer", down, oneKey, 2 * time.Hour, time.Hour, false, false, 2},
		{"settings allow none", down, oneKey, time.Hour, 0, false, false, 2},
		{"back", nil, oneKey, time.Hour, time.Hour, false, true, 2},
		{"an unknown key", down, oneKey, time.Minute, time.Hour, true, false, 2},
		{"an unknown key, just fetched", down, oneKey, time.Minute - time.Second, time.Hour, true, true, 1},
		{"gone", gone, oneKey, time.Hour, time.Hour, false, false, 2},
		{"B42 private", nil, privateKey, time.Hour, time.Hour, false, false, 2},
	} {
		h, k := newHosts()
		first, err := k.get(t.Context(), want(uri))
		if err != nil {
			t.Fatal(err)
		}
		h.at, h.err, h.body = h.at.Add(c.after), c.err, c.body
		w := want(uri)
		if w.stale = c.stale; c.newer {
			w.unless = first.at
		}
		for range 2 {
			if got, err := k.get(t.Context(), w); (err == nil) != c.ok || c.ok != (len(got.prints) == 1) {
				t.Errorf("%s: get = %v, %v, want keys %t", c.name, got.prints, err, c.ok)
			}
		}
		if h.hits != c.hits {
			t.Errorf("%s: %d fetches, want %d", c.name, h.hits, c.hits)
		}
	}
}

// TestKeySetsKeepNothingOfTheEnded: a set that ended does not come back with
// its host's trouble.
func TestKeySetsKeepNothingOfTheEnded(t *testing.T) {
	h, k := newHosts()
	w := want("https://c.example.com/jwks")
	for i, err := range []error{nil, &fetch.Error{Reason: "fetch_status"}, &fetch.Error{Reason: "fetch_timeout", Transient: true}} {
		h.err = err
		if got, err := k.get(t.Context(), w); (err == nil) != (i == 0) {
			t.Errorf("fetch %d: get = %v, %v", i, got.prints, err)
		}
		h.at = h.at.Add(time.Hour)
	}
}

// TestKeySetsAskFirst: who may have nothing fetched hears why, and it is no
// failure of the host's.
func TestKeySetsAskFirst(t *testing.T) {
	h, k := newHosts()
	not := errors.New("not this one")
	w := want("https://c.example.com/jwks")
	w.may = func() (broker.NetworkSettings, error) { return broker.NetworkSettings{}, not }
	if _, err := k.get(t.Context(), w); !errors.Is(err, not) || h.hits != 0 {
		t.Errorf("get = %v after %d fetches, want the caller's own refusal and none", err, h.hits)
	}
	if _, err := k.get(t.Context(), want("https://c.example.com/jwks")); err != nil {
		t.Errorf("get by another = %v", err)
	}
	if _, err := k.get(t.Context(), w); err != nil || h.hits != 1 {
		t.Errorf("get of what is there = %v after %d fetches, want the keys", err, h.hits)
	}
}
