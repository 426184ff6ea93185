package fetch_test

import (
	"net/netip"
	"slices"
	"testing"

	"guestlist/broker/fetch"
)

// forbidden is this test's own reading of the IANA registries for
// special-purpose addresses (RFC 6890) and of the platforms' manuals, written
// without a look at the list that the guard uses.
var forbidden = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", // RFC 6890 and later, 224/4 and 240/4 whole
	"168.63.129.16/32", "161.26.0.0/16", "166.8.0.0/14", // platforms, in public space
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

// global6 is the space that IPv6 unicast is given out of.
var global6 = netip.MustParsePrefix("2000::/3")

// FuzzAddress holds the classifier equal to the list above, F11 and B7.
func FuzzAddress(f *testing.F) {
	for _, tt := range refusedAddrs {
		f.Add(netip.MustParseAddr(tt.addr).AsSlice())
	}
	for _, p := range forbidden {
		last := p.Addr().AsSlice()
		for i := p.Bits(); i < len(last)*8; i++ {
			last[i/8] |= 1 << (7 - i%8)
		}
		end, _ := netip.AddrFromSlice(last)
		for _, a := range []netip.Addr{p.Addr(), p.Addr().Prev(), end, end.Next()} {
			f.Add(a.AsSlice())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		in := func(list []netip.Prefix) bool {
			return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
		}
		bad := in(forbidden)
		if a.Is6() {
			embeds := b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe // ISATAP
			bad = bad || !global6.Contains(a) || embeds
		}
		err := fetch.AllowedAddr(a)
		if bad && err == nil {
			t.Errorf("AllowedAddr(%s) = nil, want an error", a)
		}
		if !bad && err != nil {
			t.Errorf("AllowedAddr(%s) = %v, want nil", a, err)
		}
		if err == nil && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()) {
			t.Errorf("AllowedAddr(%s) = nil for what net/netip calls special", a)
		}
	})
}
