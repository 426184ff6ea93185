package policies

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"guestlist/broker"
)

func numbers(s string) *json.Decoder {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	return d
}

func t0(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func prefixHolds(p netip.Prefix, addr string) bool { return p.Contains(netip.MustParseAddr(addr)) }

// flat lists settings by path.
func flat(t *testing.T, s broker.Settings) map[string]any {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	known := map[string]bool{}
	for _, x := range members {
		known[x.path] = true
	}
	var walk func(m map[string]any, prefix string)
	walk = func(m map[string]any, prefix string) {
		for k, v := range m {
			if sub, ok := v.(map[string]any); ok && !known[prefix+k] {
				walk(sub, prefix+k+".")
				continue
			}
			out[prefix+k] = v
		}
	}
	walk(m, "")
	return out
}
