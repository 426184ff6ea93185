package broker

import (
	"errors"
	"net/netip"

	"guestlist/broker/fetch"
)

// NetworkSettings open private networks for exact-URL policies only.
type NetworkSettings struct {
	AllowCIDRs  []string `json:"allow_cidrs"`  // reachable although not global unicast
	EgressProxy string   `json:"egress_proxy"` // URL of the proxy to leave by; empty: the server's, if any
}

// Fetch is what the settings open for one fetch. A range that is none opens
// nothing.
func (n NetworkSettings) Fetch() fetch.Network {
	out := fetch.Network{EgressProxy: n.EgressProxy}
	for _, s := range n.AllowCIDRs {
		if p, err := netip.ParsePrefix(s); err == nil {
			out.AllowCIDRs = append(out.AllowCIDRs, p)
		}
	}
	return out
}

// CheckAllowCIDR says why a range cannot stand in network.allow_cidrs: it is no
// CIDR prefix, has bits behind its length, or is none that can be opened (see
// fetch.Openable).
func CheckAllowCIDR(s string) error {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return errors.New("not a CIDR prefix")
	case p.Masked() != p:
		return errors.New("it has host bits")
	case !fetch.Openable(p):
		return errors.New("only ranges inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 and fc00::/7 can be opened")
	}
	return nil
}

// CheckEgressProxy says what is wrong with the URL of network.egress_proxy (see
// fetch.CheckProxyURL).
func CheckEgressProxy(s string) error { return fetch.CheckProxyURL(s) }
