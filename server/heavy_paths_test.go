//go:build heavy && linux

package server_test

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestHeavyPaths is B14 and G-15: 10,000 paths under one allowed host, half of
// them without a document, from 250 sources at once.
func TestHeavyPaths(t *testing.T) {
	host := &instant{missing: func(id string) bool { return strings.HasSuffix(id, "/missing") }}
	caps, budgets := broker.Caps{Total: 5000, PerDomain: 400}, broker.Budgets{PerDomain: 600}
	s := servertest.New(t, servertest.Options{
		Fetch: host, Policy: map[string]string{"clients.rego": benchPolicy}, Log: io.Discard, Caps: caps, Budgets: budgets,
	})
	host.now = s.Clock.Now
	if status, _ := ask(s, client, "198.51.100.1"); status != 200 {
		t.Fatalf("the known client: status %d", status)
	}
	s.Clock.Advance(10 * time.Minute) // budgets are full again
	base, before := used(t), host.fetches.Load()
	var admitted, refused atomic.Int64
	const n = 10_000
	for minute := range int64(3) {
		each(64, n, func(i int) {
			id := fmt.Sprintf("https://client.example.com/%d/%d/c", minute, i)
			if i%2 == 1 {
				id = fmt.Sprintf("https://client.example.com/%d/%d/missing", minute, i)
			}
			switch status, _ := ask(s, id, fmt.Sprintf("203.0.113.%d", i%250)); {
			case status == 200 && i%2 == 0:
				admitted.Add(1)
			case status == 200:
				t.Errorf("%s: status 200, there is no document", id)
			case status == 429:
				refused.Add(1)
			}
			if i%100 == 0 {
				if status, _ := ask(s, client, "198.51.100.1"); status != 200 {
					t.Errorf("the known client: status %d", status)
				}
			}
		})
		if got, most := host.fetches.Load()-before, int64(budgets.PerDomain)*(minute+1); got > most {
			t.Errorf("minute %d: %d fetches, want at most %d", minute, got, most)
		}
		s.Clock.Advance(time.Minute)
	}
	rows, err := s.Store.Clients(t.Context(), store.ClientQuery{Limit: n})
	check(t, err)
	if len(rows) > caps.PerDomain || len(rows) != int(admitted.Load())+1 {
		t.Errorf("%d rows, want those of %d admissions and the known client, at most %d", len(rows), admitted.Load(), caps.PerDomain)
	}
	t.Logf("%d paths: %d fetches, %d admitted, %d refused before a fetch", 3*n, host.fetches.Load()-before, admitted.Load(), refused.Load())
	check(t, s.Batch.Flush(t.Context()))
	returns(t, base)
}
