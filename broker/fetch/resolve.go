package fetch

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
)

// Resolver answers names. *net.Resolver is one.
//
// It is asked once for each fetch, with network "ip" and a rooted name
// ("host."), and must return when ctx ends. An IPv4-mapped answer counts as
// the IPv4 address in it, because *net.Resolver returns A records so.
//
// The resolver used where Config names none is Go's own, over the name servers
// of the system's configuration. Go offers no way to leave out the hosts file:
// where that file comes first and knows the name, no name server is asked, and
// the lookup is then refused. Where the system is set to ask the file last, a
// name that DNS does not know is still answered by the file. The address check
// applies to such an answer as to any other.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// resolve looks the name up once and returns its addresses with the port.
// Every answer must pass the gate; one that is not refuses the name.
func (g *Guarded) resolve(ctx context.Context, t target) ([]netip.AddrPort, error) {
	answers, err := g.resolver.LookupNetIP(ctx, "ip", t.host+".")
	if err != nil {
		return nil, during("name lookup", reasonDNS, err)
	}
	if len(answers) == 0 {
		return nil, trouble(reasonDNS, "the name has no address", nil)
	}
	addrs := make([]netip.AddrPort, 0, len(answers))
	for _, a := range answers {
		if a.Zone() == "" {
			a = a.Unmap()
		}
		if err := t.gate.check(a); err != nil {
			return nil, refuse(reasonBlocked, "an answer of the name server", err)
		}
		addrs = append(addrs, netip.AddrPortFrom(a, t.port))
	}
	return addrs, nil
}

// systemResolver asks the system's name servers.
type systemResolver struct{}

var errHostsFile = errors.New("the name is in the hosts file, which is not used")

func (systemResolver) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	var asked atomic.Bool
	var dialer net.Dialer
	r := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, server string) (net.Conn, error) {
			asked.Store(true)
			return dialer.DialContext(ctx, network, server)
		},
	}
	addrs, err := r.LookupNetIP(ctx, network, host)
	if err == nil && !asked.Load() {
		return nil, errHostsFile
	}
	return addrs, err
}
