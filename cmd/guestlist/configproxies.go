package main

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"guestlist/server"
)

// networksValue reads a list of networks or single addresses. A bad item is
// kept as the zero value, so that the paths of the others stay right.
func networksValue(to *[]netip.Prefix) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		r.list(path, n, func(at string, item ast.Node) {
			var p netip.Prefix
			if s, ok := r.text(at, item); ok {
				var err error
				if p, err = parseNetwork(s); err != nil {
					r.fault(at, "write a network such as 10.1.0.0/16, or one address", "%q is neither an address nor a network", s)
				}
			}
			*to = append(*to, p)
		})
	}
}

// parseNetwork reads a network in CIDR form, or one address as the network
// that has only it.
func parseNetwork(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	a, err := netip.ParseAddr(s)
	if err == nil && a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%s has a zone", s)
	}
	return netip.PrefixFrom(a, a.BitLen()), err
}

// checkProxies accepts networks that hold proxies and nobody else, and only
// where strangers may come (design §12).
func (r *configReader) checkProxies(c *config) {
	const path = "trusted_proxies"
	for i, p := range c.TrustedProxies {
		if err := server.CheckProxies([]netip.Prefix{p}); err != nil {
			r.fault(fmt.Sprintf("%s[%d]", path, i), "list the addresses of the proxies, and nothing else", "%v", err)
		}
	}
	switch {
	case len(c.TrustedProxies) == 0 || r.isBad("issuer"):
	case len(c.Outbound.InsecureHostMap) > 0:
		r.fault(path, "remove one", "does not go together with outbound.insecure_host_map, which is for tests and demos")
	case strings.HasPrefix(c.Issuer, "http://"):
		r.fault(path, "write the issuer with https://, or remove it", "is for proxies that do TLS, and %q is http", c.Issuer)
	}
}
