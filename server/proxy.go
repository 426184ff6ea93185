package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"guestlist/broker"
)

// Shortest prefixes of a trusted network. What is wider holds strangers, and
// every one of them could choose the address that throttles and records see.
const (
	minTrustedIPv4 = 8
	minTrustedIPv6 = 7 // unique local addresses, fc00::/7
)

// CheckProxies refuses networks that cannot be trusted as proxies: none, IPv4
// written as IPv6, addresses outside their prefix, and networks so wide that
// strangers are in them.
func CheckProxies(networks []netip.Prefix) error {
	for _, p := range networks {
		least := minTrustedIPv6
		if p.Addr().Is4() {
			least = minTrustedIPv4
		}
		switch {
		case !p.IsValid() || p.Addr().Zone() != "":
			return fmt.Errorf("%q is no network", p)
		case p.Addr().Is4In6():
			return fmt.Errorf("%s is an IPv4 network written as IPv6", p)
		case p != p.Masked():
			return fmt.Errorf("%s has an address outside its prefix: the network is %s", p, p.Masked())
		case p.Bits() < least:
			return fmt.Errorf("%s is too wide: strangers are in it, and each could choose the address it is known by", p)
		}
	}
	return nil
}

// peer is the address at the other end of the connection, the zero Addr where
// there is none.
func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// trusts reports whether a is a proxy of this server's operator.
func (s *Server) trusts(a netip.Addr) bool {
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// source is the address a request came from: the peer or, behind trusted
// proxies, the rightmost hop of X-Forwarded-For that is none of them. To the
// left of it stands whatever a stranger wrote, so it is never looked at. A hop
// that is no address ends the walk, and the last one that was counts. Only
// X-Forwarded-For is read, never Forwarded or X-Real-IP: where two headers
// disagree, a stranger wrote one. Scheme and host are never taken from a
// header, they are the issuer's.
func (s *Server) source(r *http.Request) netip.Addr {
	last := peer(r)
	lines := r.Header.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			if !s.trusts(last) {
				return last
			}
			var hop string
			rest, hop, more = cutLast(rest)
			a, ok := parseHop(hop)
			if !ok {
				return last
			}
			last = a
		}
	}
	return last
}

// cutLast takes the last item off a comma-separated list.
func cutLast(list string) (rest, item string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", list, false
	}
	return list[:i], list[i+1:], true
}

// parseHop reads an address as proxies write it: alone, in brackets when it is
// IPv6, or with a port. A zone means something on the proxy alone and is
// dropped.
func parseHop(hop string) (netip.Addr, bool) {
	hop = strings.Trim(hop, " \t")
	a, err := netip.ParseAddr(hop)
	if err != nil && strings.HasSuffix(hop, "]") {
		hop += ":0"
	}
	if err != nil {
		var ap netip.AddrPort
		ap, err = netip.ParseAddrPort(hop)
		a = ap.Addr()
	}
	return a.Unmap().WithZone(""), err == nil
}

// checkHost refuses a request that was meant for another server. The Host
// must be the issuer's; a trusted proxy may have rewritten it, and a probe of
// health knows an address only. A development server takes nothing but its
// own, and nothing that was forwarded (design §12).
func (s *Server) checkHost(r *http.Request, v *visit) error {
	switch {
	case s.cfg.Insecure && (r.Host != s.host || forwarded(r.Header)):
		return &statusError{status: http.StatusMisdirectedRequest, err: broker.Refuse(broker.ReasonRequestInvalid,
			"host %s: this development server answers %s only, and nothing that was forwarded", shownHost(r.Host), s.host)}
	case s.cfg.Insecure || s.ownHost(r.Host) || v.route == "/livez" || v.route == "/readyz" || s.trusts(peer(r)):
		return nil
	}
	return &statusError{status: http.StatusMisdirectedRequest, err: broker.Refuse(broker.ReasonRequestInvalid,
		"host %s, the issuer's is %s: let the proxy pass it on, or list the proxy in trusted_proxies", shownHost(r.Host), s.host)}
}

// ownHost reports whether a Host header names the issuer's host, whose usual
// port may be spelled out.
func (s *Server) ownHost(host string) bool {
	return strings.EqualFold(host, s.host) || strings.EqualFold(strings.TrimSuffix(host, ":443"), s.host)
}

// forwarded reports whether a proxy left its mark.
func forwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}
