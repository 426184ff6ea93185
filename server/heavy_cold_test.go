//go:build heavy && linux

package server_test

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// BenchmarkHeavyCold admits clients nobody has seen, through the guarded door
// and TLS to a host in the same process, for so many callers at once, on
// distinct hosts and on one.
func BenchmarkHeavyCold(b *testing.B) {
	const policy = `package admission.policies.cold

client_ids := {"https://*.client.example.com/**"}

settings := {"redirect": {"loopback": true}, "scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]}}
`
	var hosts []string
	for i := range 64 {
		hosts = append(hosts, fmt.Sprintf("h%d.client.example.com", i))
	}
	for _, spread := range []int{len(hosts), 1} {
		for _, callers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("hosts=%d/callers=%d", spread, callers), func(b *testing.B) {
				s := servertest.New(b, servertest.Options{
					Policy: map[string]string{"cold.rego": policy},
					Hosts:  hosts, Log: io.Discard, Budgets: unbounded, Caps: broker.Caps{Total: 1 << 20, PerDomain: 1 << 20},
				})
				ids := make([]string, b.N)
				for i := range ids {
					ids[i] = fmt.Sprintf("https://%s/%d/client.json", hosts[i%spread], i)
					s.Docs.Publish(ids[i], nil)
				}
				var failed atomic.Int64
				b.ResetTimer()
				each(callers, b.N, func(i int) {
					if status, _ := ask(s, ids[i], fmt.Sprintf("192.0.2.%d", i%250)); status != 200 {
						failed.Add(1)
					}
				})
				if n := failed.Load(); n > 0 {
					b.Errorf("%d of %d were refused", n, b.N)
				}
			})
		}
	}
}
