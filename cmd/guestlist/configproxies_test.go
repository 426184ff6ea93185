package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestConfigProxies: trusted_proxies are networks or addresses.
func TestConfigProxies(t *testing.T) {
	dir := configDir(t)
	got, err := parseIn(dir, goodConfig+"trusted_proxies: [10.0.0.0/8, 192.0.2.7, 'fd00::/8', '::1']\n")
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::1/128"),
	}
	if err != nil || !slices.Equal(got.TrustedProxies, want) {
		t.Errorf("trusted_proxies = %v, %v, want %v", got.TrustedProxies, err, want)
	}
	line := strings.Count(goodConfig, "\n") + 1
	for _, tt := range []struct {
		name, value string
		line        int // below the first
		want        string
	}{
		{"not a list", " 10.0.0.0/8", 0, "trusted_proxies: is not a list"},
		{"host name", "\n  - 10.0.0.0/8\n  - proxy.example", 2, `trusted_proxies[1]: "proxy.example" is neither an address nor a network`},
		{"number", "\n  - 10", 1, "trusted_proxies[0]: is not text"},
		{"prefix too long", " [10.0.0.0/33]", 0, "is neither an address nor a network"},
		{"zone", " ['fe80::1%eth0']", 0, "is neither an address nor a network"},
		{"address with a port", " ['10.0.0.1:80']", 0, "is neither an address nor a network"},
		{"address beside its network", " [10.1.2.3/8]", 0, "trusted_proxies[0]: 10.1.2.3/8 has an address outside its prefix: the network is 10.0.0.0/8"},
		{"all of IPv4", "\n  - ::1\n  - 0.0.0.0/0", 2, "trusted_proxies[1]: 0.0.0.0/0 is too wide"},
		{"all of IPv6", " ['::/0']", 0, "trusted_proxies[0]: ::/0 is too wide"},
		{"half of IPv4", " [128.0.0.0/1]", 0, "is too wide"},
		{"IPv4 as IPv6", " ['::ffff:10.0.0.1']", 0, "is an IPv4 network written as IPv6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseIn(dir, goodConfig+"trusted_proxies:"+tt.value+"\n")
			wrongOnce(t, err, dir, line+tt.line, tt.want)
		})
	}
	after := strings.Count(minimalConfig, "\n") + 1
	_, err = parseIn(dir, minimalConfig+"trusted_proxies: [127.0.0.1]\n")
	wrongOnce(t, err, dir, after, "trusted_proxies: is for proxies that do TLS")
	_, err = parseIn(dir, minimalConfig+"trusted_proxies: [127.0.0.1]\noutbound: {insecure_host_map: {'docs.example:443': '127.0.0.1:1'}}\n")
	wrongOnce(t, err, dir, after, "trusted_proxies: does not go together with outbound.insecure_host_map")
}

// TestConfigPublicBehindProxy: other machines may reach a listener without TLS
// where a proxy in front does it, and only for an https issuer.
func TestConfigPublicBehindProxy(t *testing.T) {
	dir := configDir(t)
	public := strings.NewReplacer("http://localhost:8080", "https://id.example", "127.0.0.1:8080", ":8080").Replace(minimalConfig)
	if _, err := parseIn(dir, public+"trusted_proxies: [10.0.0.0/8]\n"); err != nil {
		t.Errorf("parseConfig(public, behind a proxy) = %v, want nil", err)
	}
	_, err := parseIn(dir, public)
	wrongOnce(t, err, dir, 2, "list it in trusted_proxies")
	_, err = parseIn(dir, public+"trusted_proxies: []\n")
	wrongOnce(t, err, dir, 2, "list it in trusted_proxies")
	_, err = parseIn(dir, strings.Replace(public, "https:", "http:", 1)+"trusted_proxies: [10.0.0.0/8]\n")
	wrongOnce(t, err, dir, 1, "is http, which is for loopback only")
}

// TestPlanProxies: the plan has the proxies, and what is behind one is no
// development server, wherever it listens.
func TestPlanProxies(t *testing.T) {
	dir := configDir(t)
	local := strings.Replace(minimalConfig, "http://localhost:8080", "https://localhost:8443", 1)
	for content, insecure := range map[string]bool{local: true, local + "trusted_proxies: [127.0.0.1]\n": false} {
		c, err := parseIn(dir, content)
		if err != nil {
			t.Fatal(err)
		}
		p, err := planFrom(c)
		if err != nil || p.insecure != insecure || !slices.Equal(p.trusted, c.TrustedProxies) {
			t.Errorf("plan of\n%s = insecure %v, trusted %v, %v, want %v, %v", content, p.insecure, p.trusted, err, insecure, c.TrustedProxies)
		}
	}
}
