package fetch_test

import (
	"net/netip"
	"testing"
	"time"

	"guestlist/broker/fetch"
)

// TestOpenable_G18: which ranges a policy can open at all.
func TestOpenable_G18(t *testing.T) {
	for prefix, want := range map[string]bool{
		"10.0.0.0/8": true, "10.1.2.3/32": true, "172.16.0.0/12": true, "172.20.0.0/16": true, "192.168.7.0/24": true,
		"100.64.0.0/10": true, "fc00::/7": true, "fd12:3456::/32": true,
		"0.0.0.0/0": false, "10.0.0.0/7": false, "127.0.0.0/8": false, "127.0.0.1/32": false, "169.254.0.0/16": false,
		"169.254.169.254/32": false, "172.16.0.0/11": false, "192.168.0.0/15": false, "100.64.0.0/9": false, "198.18.0.0/15": false,
		"224.0.0.0/4": false, "240.0.0.0/4": false, "255.255.255.255/32": false, "93.184.216.0/24": false,
		"::/0": false, "::1/128": false, "fe80::/10": false, "fc00::/6": false, "ff00::/8": false, "2000::/3": false,
		"::ffff:10.0.0.0/104": false, "64:ff9b::/96": false,
	} {
		if got := fetch.Openable(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("Openable(%s) = %t, want %t", prefix, got, want)
		}
	}
	if fetch.Openable(netip.Prefix{}) {
		t.Error("Openable(zero Prefix) = true")
	}
}

// TestNetwork_G18: settings.network of an exact URL opens its ranges and
// nothing else; what can never be opened stays shut, even where a range that
// holds it got past the policy's check; outbound.blocked wins. Where the address
// is let through, the egress proxy of the policy is asked for it.
func TestNetwork_G18(t *testing.T) {
	h := newHost(t, serveJSON("{}"))
	e := newEgress(t, h, "http")
	everything := prefixes("0.0.0.0/0", "::/0")
	tests := []struct {
		name             string
		answers          []string
		allowed, blocked []netip.Prefix
		ok               bool
	}{
		{"private, closed", []string{"10.1.2.3"}, nil, nil, false},
		{"private, opened", []string{"10.1.2.3"}, prefixes("10.1.0.0/16"), nil, true},
		{"private, mapped and opened", []string{"::ffff:10.1.2.3"}, prefixes("10.1.0.0/16"), nil, true},
		{"private, another range opened", []string{"10.2.2.3"}, prefixes("10.1.0.0/16", "192.168.0.0/16"), nil, false},
		{"one answer beside the range", []string{"10.1.2.3", "10.2.2.3"}, prefixes("10.1.0.0/16"), nil, false},
		{"opened and public", []string{"10.1.2.3", "93.184.216.34"}, prefixes("10.1.0.0/16"), nil, true},
		{"unique local", []string{"fd12:3456::1"}, prefixes("fd12:3456::/32"), nil, true},
		{"carrier's", []string{"100.64.0.1"}, prefixes("100.64.0.0/10"), nil, true},
		{"opened and blocked", []string{"10.1.2.3"}, prefixes("10.1.0.0/16"), prefixes("10.1.2.0/24"), false},
		{"opened, another range blocked", []string{"10.1.2.3"}, prefixes("10.1.0.0/16"), prefixes("10.1.3.0/24"), true},
		{"public", []string{"93.184.216.34"}, nil, nil, true},
		{"public and blocked", []string{"93.184.216.34"}, nil, prefixes("93.184.216.0/24"), false},
		{"public, mapped and blocked", []string{"::ffff:93.184.216.34"}, nil, prefixes("93.184.216.0/24"), false},
		{"public IPv6 and blocked", []string{"2606:4700::1111"}, nil, prefixes("2606:4700::/32"), false},
		{"loopback", []string{"127.0.0.1"}, everything, nil, false},
		{"loopback, IPv6", []string{"::1"}, everything, nil, false},
		{"loopback, mapped", []string{"::ffff:127.0.0.1"}, everything, nil, false},
		{"unspecified", []string{"0.0.0.0"}, everything, nil, false},
		{"link-local", []string{"169.254.1.1"}, everything, nil, false},
		{"link-local, IPv6", []string{"fe80::1"}, everything, nil, false},
		{"instance metadata", []string{"169.254.169.254"}, everything, nil, false},
		{"AWS metadata, IPv6", []string{"fd00:ec2::254"}, prefixes("fc00::/7"), nil, false},
		{"Google metadata, IPv6", []string{"fd20:ce::254"}, prefixes("fc00::/7"), nil, false},
		{"Alibaba metadata", []string{"100.100.100.200"}, prefixes("100.64.0.0/10"), nil, false},
		{"Azure platform", []string{"168.63.129.16"}, everything, nil, false},
		{"ISATAP in unique local", []string{"fd12::5efe:7f00:1"}, prefixes("fc00::/7"), nil, false},
		{"with a zone", []string{"fd12::1%eth0"}, prefixes("fc00::/7"), nil, false},
		{"NAT64 of a private address", []string{"64:ff9b::a01:203"}, everything, nil, false},
		{"multicast", []string{"224.0.0.1"}, everything, nil, false},
		{"broadcast", []string{"255.255.255.255"}, everything, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &resolver{answers: [][]netip.Addr{addrs(tt.answers...)}}
			g := newDoor(t, fetch.Config{RootCAs: h.roots, Resolver: r, Blocked: tt.blocked})
			lim := fetch.DefaultLimits()
			lim.Network = fetch.Network{AllowCIDRs: tt.allowed, EgressProxy: e.url}
			_, err := g.Document(t.Context(), parse(t, clientURL), lim, fetch.Held{})
			if !tt.ok {
				wantReason(t, err, "fetch_blocked_address", false)
			} else if err != nil {
				t.Errorf("Document() = %v, want the document", err)
			}
			if got := e.took(); (got != "") != tt.ok {
				t.Errorf("the proxy was asked %q", got)
			}
		})
	}
}

// TestRebinding_G18: a name that is in an opened range once and on loopback
// then gets nothing there.
func TestRebinding_G18(t *testing.T) {
	c := newCanary(t)
	r := &resolver{answers: [][]netip.Addr{addrs("10.255.255.1"), addrs("127.0.0.1")}}
	g := newDoor(t, fetch.Config{Resolver: r, Timeout: 200 * time.Millisecond})
	lim := fetch.DefaultLimits()
	lim.AllowPort = true
	lim.Network.AllowCIDRs = prefixes("10.255.255.0/24")
	id := parse(t, "https://rebind.example.com:"+c.port+"/client.json")
	if _, err := g.Document(t.Context(), id, lim, fetch.Held{}); err == nil {
		t.Error("Document() = nil, want an error: nobody listens there")
	}
	_, err := g.Document(t.Context(), id, lim, fetch.Held{})
	wantReason(t, err, "fetch_blocked_address", false)
	c.wantSilent(t)
}
