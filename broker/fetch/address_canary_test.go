package fetch_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
)

// TestCanary_F11_B4_B5_B7 gives every refused address as a DNS answer, alone
// and beside a good one in both orders; a listener on all local addresses must
// see nothing.
func TestCanary_F11_B4_B5_B7(t *testing.T) {
	c := newCanary(t)
	id := parse(t, "https://rebind.example.com:"+c.port+"/client.json")
	lim := fetch.DefaultLimits()
	lim.AllowPort = true
	const public = "3ffe::1"
	for _, tt := range refusedAddrs {
		if tt.name == "v4-mapped public" {
			continue // as a DNS answer this is how *net.Resolver writes 8.8.8.8
		}
		for _, answer := range [][]netip.Addr{addrs(tt.addr), addrs(public, tt.addr), addrs(tt.addr, public)} {
			r := &resolver{answers: [][]netip.Addr{answer}}
			_, err := newDoor(t, fetch.Config{Resolver: r}).Document(t.Context(), id, lim, fetch.Held{})
			fe, ok := errors.AsType[*fetch.Error](err)
			if !ok || fe.Reason != "fetch_blocked_address" || fe.Transient {
				t.Errorf("answer %v (%s): Document() = %v, want fetch_blocked_address", answer, tt.name, err)
			}
			if len(r.asked) != 1 || r.asked[0] != "ip rebind.example.com." {
				t.Errorf("answer %v: lookups = %q, want one of the rooted name", answer, r.asked)
			}
		}
	}
	c.wantSilent(t)
}

// TestRebinding_B3 answers a public address first and loopback afterwards. The
// public one is in a prefix that nobody announces.
func TestRebinding_B3(t *testing.T) {
	c := newCanary(t)
	r := &resolver{answers: [][]netip.Addr{addrs("3ffe::1"), addrs("127.0.0.1")}}
	g := newDoor(t, fetch.Config{Resolver: r, Timeout: 200 * time.Millisecond})
	lim := fetch.DefaultLimits()
	lim.AllowPort = true
	_, err := g.Document(t.Context(), parse(t, "https://rebind.example.com:"+c.port+"/client.json"), lim, fetch.Held{})
	fe, ok := errors.AsType[*fetch.Error](err)
	if !ok || (fe.Reason != "fetch_connect" && fe.Reason != "fetch_timeout") || !fe.Transient {
		t.Errorf("Document() = %v, want fetch_connect or fetch_timeout", err)
	}
	if len(r.asked) != 1 {
		t.Errorf("lookups = %q, want exactly one", r.asked)
	}
	c.wantSilent(t)
}

func TestLookupTrouble_F6_F10(t *testing.T) {
	id, lim := parse(t, clientURL), fetch.DefaultLimits()
	tests := []struct {
		name   string
		r      *resolver
		reason string
	}{
		{"no such name", &resolver{err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}, "fetch_dns"},
		{"server failure", &resolver{err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}}, "fetch_dns"},
		{"server silent", &resolver{err: &net.DNSError{Err: "i/o timeout", IsTimeout: true}}, "fetch_timeout"},
		{"empty answer", &resolver{answers: [][]netip.Addr{{}}}, "fetch_dns"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newDoor(t, fetch.Config{Resolver: tt.r})
			for range 2 {
				_, err := g.Document(t.Context(), id, lim, fetch.Held{})
				wantReason(t, err, tt.reason, true)
			}
			if len(tt.r.asked) != 2 {
				t.Errorf("lookups = %d for two calls, want 2: errors are not kept", len(tt.r.asked))
			}
		})
	}
}

type stuckResolver struct{}

func (stuckResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestLookupDeadline_PF17(t *testing.T) {
	g := newDoor(t, fetch.Config{Resolver: stuckResolver{}, Timeout: 50 * time.Millisecond})
	_, err := g.Document(t.Context(), parse(t, clientURL), fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_timeout", true)
}

// TestHosts_U13_F11 hands over hosts that cimd.Parse would not make, as a
// second lock behind the first: nothing may be looked up.
func TestHosts_U13_F11(t *testing.T) {
	for _, host := range []string{
		"", "localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.0x1", "0177.0.0.1",
		"①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "client.example.com.", ".example.com", "client..com",
		"::1", "[::1]", "fe80::1%eth0", "client_x.example.com", "-client.example.com", "client-.example.com",
		"exämple.com", "client.example.com\x00", "client.example.com:443", "user@example.com", "a b.example.com",
		"client.example.com/x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com",
	} {
		r := &resolver{answers: [][]netip.Addr{addrs("127.0.0.1")}}
		id := parse(t, clientURL)
		id.Host = host
		_, err := newDoor(t, fetch.Config{Resolver: r}).Document(t.Context(), id, fetch.DefaultLimits(), fetch.Held{})
		wantReason(t, err, "fetch_blocked_address", false)
		if len(r.asked) != 0 {
			t.Errorf("host %q: lookups = %q, want none", host, r.asked)
		}
		if _, err := cimd.Parse("https://" + host + "/client.json"); err == nil && host != "client.example.com:443" && host != "client.example.com/x" {
			t.Errorf("cimd.Parse accepts the host %q", host)
		}
	}
}

// TestMismatchedID refuses an ID whose parts do not belong together.
func TestMismatchedID(t *testing.T) {
	r := &resolver{answers: [][]netip.Addr{addrs("127.0.0.1")}}
	id := parse(t, clientURL)
	id.Host = "other.example.com"
	_, err := newDoor(t, fetch.Config{Resolver: r}).Document(t.Context(), id, fetch.DefaultLimits(), fetch.Held{})
	wantReason(t, err, "fetch_failed", false)
	if len(r.asked) != 0 {
		t.Errorf("lookups = %q, want none", r.asked)
	}
}

func TestPort(t *testing.T) {
	r := &resolver{answers: [][]netip.Addr{addrs("127.0.0.1")}}
	tests := []struct {
		url       string
		allowPort bool
		lookups   int
	}{
		{"https://client.example.com:8443/c", false, 0},
		{"https://client.example.com:22/c", false, 0},
		{"https://client.example.com:8443/c", true, 1},
		{"https://client.example.com:443/c", false, 1},
		{"https://client.example.com/c", false, 1},
	}
	for _, tt := range tests {
		r.asked = nil
		lim := fetch.DefaultLimits()
		lim.AllowPort = tt.allowPort
		_, err := newDoor(t, fetch.Config{Resolver: r}).Document(t.Context(), parse(t, tt.url), lim, fetch.Held{})
		wantReason(t, err, "fetch_blocked_address", false)
		if len(r.asked) != tt.lookups {
			t.Errorf("%s, AllowPort %t: %d lookups, want %d", tt.url, tt.allowPort, len(r.asked), tt.lookups)
		}
	}
}
