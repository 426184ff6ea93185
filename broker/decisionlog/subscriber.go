package decisionlog

import "net/netip"

// Subscriber returns the network that one stranger is assumed to hold, an IPv4
// address or an IPv6 /64, out of which every request could come from another
// address. Records, budgets and throttles count strangers by it alike. A
// source may carry a port; all that is no address is one subscriber, the zero
// prefix.
func Subscriber(source string) netip.Prefix {
	addr, err := netip.ParseAddr(source)
	if err != nil {
		port, _ := netip.ParseAddrPort(source)
		addr = port.Addr()
	}
	addr = addr.Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	prefix, _ := addr.Prefix(bits) // without zone; the zero prefix when addr is none
	return prefix
}
