package fetch

import (
	"fmt"
	"net/netip"

	"code.dny.dev/ssrf"
)

// guard knows the IANA special-purpose registries: for IPv4 it denies what
// they list, for IPv6 it allows only 2000::/3 less what they list. It is never
// changed.
var guard = ssrf.New(ssrf.WithAnyPort())

// platformPrefixes are addresses that belong to the machine's provider rather
// than to the internet. Those marked public lie in ordinary global unicast
// space, where the registries do not help; the others the registries cover
// today and are listed so that a change there cannot open them.
var platformPrefixes = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("168.63.129.16/32"), "Azure platform channel (public)"},
	{netip.MustParsePrefix("161.26.0.0/16"), "IBM Cloud infrastructure services (public)"},
	{netip.MustParsePrefix("166.8.0.0/14"), "IBM Cloud private service endpoints (public)"},
	{netip.MustParsePrefix("169.254.169.254/32"), "instance metadata"},
	{netip.MustParsePrefix("169.254.170.2/32"), "AWS container credentials"},
	{netip.MustParsePrefix("169.254.170.23/32"), "AWS EKS pod identity"},
	{netip.MustParsePrefix("100.100.100.200/32"), "Alibaba Cloud metadata"},
	{netip.MustParsePrefix("192.0.0.192/32"), "Oracle Cloud metadata"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "AWS metadata, time and resolver"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "Google Cloud metadata"},
	{netip.MustParsePrefix("fe80::a9fe:a9fe/128"), "OpenStack metadata"},
}

// AllowedAddr returns nil when a is a global unicast address by the IANA
// special-purpose registries and none of the short list of platform addresses
// (metadata services and the like that lie in public space).
//
// IPv6 forms that carry an IPv4 address are refused whatever they carry:
// mapped, compatible, SIIT, NAT64, 6to4, Teredo, ISATAP. So are addresses with
// a zone and the zero Addr. A resolver's mapped form of an A record must be
// unmapped by the caller first.
func AllowedAddr(a netip.Addr) error {
	if !a.IsValid() {
		return fmt.Errorf("no address")
	}
	if a.Zone() != "" {
		return fmt.Errorf("%s has a zone", a)
	}
	if what, ok := platform(a); ok {
		return fmt.Errorf("%s is a platform address: %s", a, what)
	}
	if isISATAP(a) {
		return fmt.Errorf("%s embeds an IPv4 address (ISATAP, RFC 5214)", a)
	}
	if err := guard.SafeAddr(a); err != nil {
		return fmt.Errorf("%s is not a global unicast address: %w", a, err)
	}
	return nil
}

// platform says what platform address a is, if it is one.
func platform(a netip.Addr) (what string, ok bool) {
	for _, p := range platformPrefixes {
		if p.prefix.Contains(a) {
			return p.what, true
		}
	}
	return "", false
}

// isISATAP recognises the interface identifiers 0000:5efe and 0200:5efe of
// RFC 5214, section 6.1, which may stand behind any global prefix.
func isISATAP(a netip.Addr) bool {
	if !a.Is6() {
		return false
	}
	b := a.As16()
	return (b[8] == 0 || b[8] == 2) && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
