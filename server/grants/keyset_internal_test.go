package grants

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
)

const oneKey = `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

// hosts answers every jwks_uri with one key and counts.
type hosts struct {
	now  func() time.Time
	hits atomic.Int32
}

func (h *hosts) JWKS(_ context.Context, _ cimd.ID, lim fetch.Limits) (fetch.Document, error) {
	h.hits.Add(1)
	if lim.MaxBytes != 12<<10 || lim.Floor != time.Minute || lim.Ceiling != 24*time.Hour {
		return fetch.Document{}, fmt.Errorf("limits %+v", lim)
	}
	return fetch.Document{Body: []byte(oneKey), FetchedAt: h.now(), FreshFor: time.Hour}, nil
}

// TestKeySetLimits is G-18 for keys: what the settings of a grant open for its
// client is open for the client's keys, and makes another fetch of them.
func TestKeySetLimits(t *testing.T) {
	lim := keySetName{cidrs: "10.1.0.0/16 fd12::/32", proxy: "http://proxy.example.com:3128", allowPort: true}.limits()
	want := fetch.JWKSLimits()
	want.AllowPort = true
	want.Network = fetch.Network{
		AllowCIDRs:  []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/32")},
		EgressProxy: "http://proxy.example.com:3128",
	}
	if !reflect.DeepEqual(lim, want) {
		t.Errorf("limits() = %+v, want %+v", lim, want)
	}
	if lim := (keySetName{}).limits(); !reflect.DeepEqual(lim, fetch.JWKSLimits()) {
		t.Errorf("limits() = %+v, want %+v", lim, fetch.JWKSLimits())
	}
}

// TestKeySetsAreBounded is CU-06, B-rows on memory: whoever brings many key
// sets makes others be fetched again, and nothing grow.
func TestKeySetsAreBounded(t *testing.T) {
	now := func() time.Time { return time.Unix(1e9, 0) }
	h := &hosts{now: now}
	k := &keySets{fetch: h, now: now}
	name := func(i int) keySetName { return keySetName{uri: fmt.Sprintf("https://c%d.example.com/jwks", i)} }
	for i := range maxKeySets + 50 {
		for range 2 {
			if _, _, err := k.get(t.Context(), name(i), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(k.sets) != maxKeySets || h.hits.Load() != maxKeySets+50 {
		t.Errorf("%d sets kept, %d fetches; want %d, %d", len(k.sets), h.hits.Load(), maxKeySets, maxKeySets+50)
	}
}

// TestKeySetsOneFetch: those who come at once share one fetch.
func TestKeySetsOneFetch(t *testing.T) {
	now := func() time.Time { return time.Unix(1e9, 0) }
	h := &hosts{now: now}
	k := &keySets{fetch: h, now: now}
	done := make(chan error)
	for range 20 {
		go func() {
			_, _, err := k.get(t.Context(), keySetName{uri: "https://c.example.com/jwks"}, time.Time{})
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := h.hits.Load(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
	if _, _, err := (&keySets{now: now}).get(t.Context(), keySetName{uri: "https://c.example.com/jwks"}, time.Time{}); err == nil {
		t.Error("get without a fetcher = nil error")
	}
}
