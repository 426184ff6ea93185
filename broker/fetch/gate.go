package fetch

import (
	"fmt"
	"net/netip"
	"slices"
)

// openable are the ranges that Network.AllowCIDRs can open: private use, shared
// address space and unique local addresses. Everything else that AllowedAddr
// refuses stays shut whatever a policy says: loopback, link-local, the
// platforms' metadata services, multicast, reserved space, and IPv6 forms that
// carry an IPv4 address.
var openable = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("fc00::/7"),
}

// Openable reports whether p lies in the ranges that can be opened: 10.0.0.0/8,
// 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 and fc00::/7. The metadata
// services inside them stay shut.
func Openable(p netip.Prefix) bool {
	return p.IsValid() && slices.ContainsFunc(openable, func(o netip.Prefix) bool {
		return o.Bits() <= p.Bits() && o.Contains(p.Addr())
	})
}

// gate decides about the addresses of one fetch.
type gate struct {
	blocked []netip.Prefix // by configuration; wins
	opened  []netip.Prefix // by the policy of this client
}

// check returns nil when a may be dialled.
func (g gate) check(a netip.Addr) error {
	for _, p := range g.blocked {
		if p.Contains(a.Unmap().WithZone("")) {
			return fmt.Errorf("%s is in %s, which the configuration blocks", a, p)
		}
	}
	err := AllowedAddr(a)
	if err == nil || !g.opens(a) {
		return err
	}
	return nil
}

// opens reports whether the policy opens a, which the registries do not let
// pass.
func (g gate) opens(a netip.Addr) bool {
	holds := func(p netip.Prefix) bool { return p.Contains(a) } // false where a has a zone
	_, shut := platform(a)
	return slices.ContainsFunc(g.opened, holds) && slices.ContainsFunc(openable, holds) && !shut && !isISATAP(a)
}
