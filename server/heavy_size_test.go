//go:build heavy && linux

package server_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

const manyPolicy = `package admission.policies.many

client_ids := {"https://*.many.example/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"redirect": {"loopback": true},
}
`

// unbounded lets everybody in.
var unbounded = broker.Budgets{PerSource: 1_000_000, PerDomain: 1_000_000, Total: 1_000_000, Concurrent: 1000}

// perAdmission is what one admission takes at most on file: the row of the
// client, its document, its record and all indexes.
const perAdmission = 4 << 10

// TestHeavySize admits 100,000 clients and reports what each takes.
func TestHeavySize(t *testing.T) {
	host := &instant{}
	s := servertest.New(t, servertest.Options{
		Fetch: host, Policy: map[string]string{"many.rego": manyPolicy}, Log: io.Discard,
		Budgets: unbounded, Caps: broker.Caps{Total: 1 << 20, PerDomain: 1 << 20},
	})
	host.now = s.Clock.Now
	path := filepath.Join(s.Dir, "guestlist.db")
	base, done := used(t), 0
	for _, n := range []int{10_000, 100_000} {
		began := time.Now()
		each(64, n-done, func(i int) {
			// Spread as names are, not in the order of the file.
			i = (i + done) * 48_271 % 1_000_003
			id := fmt.Sprintf("https://app-%06d.many.example/oauth/client.json", i)
			if status, _ := ask(s, id, fmt.Sprintf("192.0.2.%d", i%250)); status != 200 {
				t.Errorf("%s: status %d", id, status)
			}
		})
		rate := float64(n-done) / time.Since(began).Seconds()
		done = n
		check(t, s.Batch.Flush(t.Context()))
		info, err := os.Stat(path)
		check(t, err)
		now := used(t)
		t.Logf("%d admissions, %.0f a second: file %d bytes each, heap %d bytes each, resident %d bytes each; %v",
			n, rate, info.Size()/int64(n), (now.heap-base.heap)/int64(n), (now.anon-base.anon)/int64(n), now)
	}
	known, err := s.Store.Begin().ClientCount(t.Context(), "", nil)
	check(t, err)
	if known.Total != done {
		t.Errorf("%d clients, want %d", known.Total, done)
	}
	began := time.Now()
	if rows, err := s.Store.Expired(t.Context(), s.Clock.Now(), 500); err != nil || len(rows) != 0 {
		t.Errorf("Expired() = %d, %v, want none", len(rows), err)
	}
	t.Logf("a round of the sweeper that finds nothing: %v", time.Since(began))
	began = time.Now()
	_, err = s.Store.Clients(t.Context(), store.ClientQuery{Limit: 500})
	check(t, err)
	t.Logf("a page of 500 rows: %v", time.Since(began))
	info, err := os.Stat(path)
	check(t, err)
	if taken := info.Size() / int64(done); taken > perAdmission {
		t.Errorf("%d bytes on file for an admission, want at most %d", taken, perAdmission)
	}
}
