package fetch_test

import (
	"net/netip"
	"testing"

	"guestlist/broker/fetch"
)

// refusedAddrs are addresses no stranger may send this server to: F11, B4, B5,
// B7.
var refusedAddrs = []struct{ name, addr string }{
	{"this network", "0.0.0.0"},
	{"this network, last", "0.255.255.255"},
	{"private 10, first", "10.0.0.0"},
	{"private 10", "10.0.0.5"},
	{"private 10, last", "10.255.255.255"},
	{"shared address space, first", "100.64.0.0"},
	{"shared address space, last", "100.127.255.255"},
	{"loopback", "127.0.0.1"},
	{"loopback, short form's address", "127.1.2.3"},
	{"loopback, last", "127.255.255.255"},
	{"link local", "169.254.0.1"},
	{"link local, last", "169.254.255.255"},
	{"private 172.16, first", "172.16.0.0"},
	{"private 172.16, last", "172.31.255.255"},
	{"IETF protocol assignments", "192.0.0.1"},
	{"PCP anycast", "192.0.0.9"},
	{"TURN anycast", "192.0.0.10"},
	{"NAT64 discovery", "192.0.0.170"},
	{"documentation 1", "192.0.2.1"},
	{"AS112-v4", "192.31.196.1"},
	{"AMT", "192.52.193.1"},
	{"6to4 relay anycast", "192.88.99.1"},
	{"private 192.168", "192.168.1.1"},
	{"direct delegation AS112", "192.175.48.1"},
	{"benchmark, first", "198.18.0.0"},
	{"benchmark, last", "198.19.255.255"},
	{"documentation 2", "198.51.100.1"},
	{"documentation 3", "203.0.113.1"},
	{"multicast", "224.0.0.1"},
	{"multicast, last", "239.255.255.255"},
	{"reserved 240/4", "240.0.0.1"},
	{"reserved, last but one", "255.255.255.254"},
	{"broadcast", "255.255.255.255"},

	{"Azure platform channel", "168.63.129.16"},
	{"IBM Cloud services", "161.26.0.10"},
	{"IBM Cloud endpoints", "166.9.1.1"},
	{"instance metadata", "169.254.169.254"},
	{"AWS container credentials", "169.254.170.2"},
	{"Alibaba metadata", "100.100.100.200"},
	{"Oracle metadata", "192.0.0.192"},
	{"AWS metadata, IPv6", "fd00:ec2::254"},
	{"AWS time, IPv6", "fd00:ec2::123"},
	{"Google metadata, IPv6", "fd20:ce::254"},
	{"OpenStack metadata, IPv6", "fe80::a9fe:a9fe"},

	{"unspecified, IPv6", "::"},
	{"loopback, IPv6", "::1"},
	{"v4-compatible loopback", "::127.0.0.1"},
	{"v4-compatible public", "::8.8.8.8"},
	{"v4-mapped loopback", "::ffff:127.0.0.1"},
	{"v4-mapped metadata", "::ffff:169.254.169.254"},
	{"v4-mapped public", "::ffff:8.8.8.8"},
	{"v4-mapped public with zone", "::ffff:8.8.8.8%eth0"},
	{"SIIT", "::ffff:0:127.0.0.1"},
	{"NAT64 loopback", "64:ff9b::7f00:1"},
	{"NAT64 public", "64:ff9b::808:808"},
	{"NAT64 local use", "64:ff9b:1::a00:1"},
	{"discard only", "100::1"},
	{"dummy prefix", "100:0:0:1::1"},
	{"Teredo", "2001::1"},
	{"Teredo with client", "2001:0:4136:e378:8000:63bf:3fff:fdd2"},
	{"PCP anycast, IPv6", "2001:1::1"},
	{"benchmark, IPv6", "2001:2::1"},
	{"AMT, IPv6", "2001:3::1"},
	{"AS112-v6", "2001:4:112::1"},
	{"ORCHID", "2001:10::1"},
	{"ORCHIDv2", "2001:20::1"},
	{"drone remote identifiers", "2001:30::1"},
	{"documentation, IPv6", "2001:db8::1"},
	{"6to4 loopback", "2002:7f00:1::"},
	{"6to4 private", "2002:a00:1::1"},
	{"6to4 public", "2002:808:808::1"},
	{"direct delegation AS112, IPv6", "2620:4f:8000::1"},
	{"documentation 3fff", "3fff::1"},
	{"documentation 3fff, last", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"outside 2000::/3", "4000::1"},
	{"SRv6", "5f00::1"},
	{"unique local fc00", "fc00::1"},
	{"unique local fd00", "fd00::1"},
	{"link local, IPv6", "fe80::1"},
	{"link local with zone", "fe80::1%eth0"},
	{"public with zone", "2606:4700::1111%eth0"},
	{"site local", "fec0::1"},
	{"multicast, IPv6", "ff02::1"},
	{"multicast global, IPv6", "ff0e::1"},
	{"ISATAP private", "2606:4700::5efe:a00:1"},
	{"ISATAP with u bit", "2606:4700::200:5efe:a00:1"},
	{"ISATAP link local", "fe80::5efe:7f00:1"},
}

func TestAllowedAddrRefuses_F11_B7(t *testing.T) {
	if len(refusedAddrs) < 60 {
		t.Fatalf("the table has %d rows, want at least 60", len(refusedAddrs))
	}
	for _, tt := range refusedAddrs {
		if err := fetch.AllowedAddr(netip.MustParseAddr(tt.addr)); err == nil {
			t.Errorf("AllowedAddr(%s) = nil, want an error (%s)", tt.addr, tt.name)
		}
	}
	if err := fetch.AllowedAddr(netip.Addr{}); err == nil {
		t.Error("AllowedAddr(zero Addr) = nil, want an error")
	}
}

func TestAllowedAddrAdmitsGlobalUnicast(t *testing.T) {
	for _, addr := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
		"126.255.255.255", "128.0.0.1", "168.63.129.15", "168.63.129.17", "169.253.255.255",
		"169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.167.255.255",
		"192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1111", "2a00:1450::1",
		"2620:4f:8001::1", "3ffe::1",
	} {
		if err := fetch.AllowedAddr(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("AllowedAddr(%s) = %v, want nil", addr, err)
		}
	}
}
