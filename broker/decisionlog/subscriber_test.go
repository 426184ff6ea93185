package decisionlog_test

import (
	"testing"

	"guestlist/broker/decisionlog"
)

// TestSubscriber is design §10: an IPv4 address, or an IPv6 /64.
func TestSubscriber(t *testing.T) {
	for source, want := range map[string]string{
		"192.0.2.1":               "192.0.2.1/32",
		"192.0.2.1:443":           "192.0.2.1/32",
		"::ffff:192.0.2.1":        "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"[2001:db8:1:2:9::1]:443": "2001:db8:1:2::/64",
		"fe80::1%eth0":            "fe80::/64",
		"":                        "invalid Prefix",
		"invalid IP":              "invalid Prefix",
		"192.0.2.1, 198.51.100.1": "invalid Prefix",
	} {
		if got := decisionlog.Subscriber(source).String(); got != want {
			t.Errorf("Subscriber(%q) = %s, want %s", source, got, want)
		}
	}
}
