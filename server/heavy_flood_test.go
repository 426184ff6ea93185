//go:build heavy && linux

package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/server/servertest"
	"guestlist/store"
)

const (
	floodDomains = 200
	floodRate    = 300 // requests a second
	floodFor     = 10 * time.Second
	newHosts     = 20
)

// floodPolicy names hosts of newcomers exactly, and any host of the domains
// that a flood comes from.
func floodPolicy() map[string]string {
	rule := func(name string, patterns []string) string {
		return fmt.Sprintf("package admission.policies.%s\n\nclient_ids := {%s}\n\nsettings := {\n\t\"scopes\": {\"ceiling\": [\"mcp:read\"], \"default\": [\"mcp:read\"]},\n\t\"redirect\": {\"loopback\": true},\n}\n",
			name, strings.Join(patterns, ", "))
	}
	var named, open []string
	for i := range newHosts {
		named = append(named, fmt.Sprintf("%q", "https://"+newHost(i)+"/**"))
	}
	for i := range floodDomains {
		open = append(open, fmt.Sprintf("%q", fmt.Sprintf("https://*.flood%d.example/**", i)))
	}
	return map[string]string{"named.rego": rule("named", named), "open.rego": rule("open", open)}
}

func newHost(i int) string { return fmt.Sprintf("app.new%d.example", i%newHosts) }

// hangingNames answers no name before the caller gives up; failingNames knows no name.
type (
	hangingNames struct{ asked atomic.Int64 }
	failingNames struct{ asked atomic.Int64 }
)

// LookupNetIP implements fetch.Resolver.
func (h *hangingNames) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	h.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// LookupNetIP implements fetch.Resolver.
func (f *failingNames) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	f.asked.Add(1)
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// TestHeavyFlood: while strangers name hosts that hang or fail, known clients
// and newcomers on hosts that a policy names go on (G-15, B14).
func TestHeavyFlood(t *testing.T) {
	hangs, fails := &hangingNames{}, &failingNames{}
	for _, f := range []struct {
		name  string
		opts  servertest.Options
		asked func() int64
	}{
		{"names that hang", servertest.Options{Resolver: hangs}, hangs.asked.Load},
		{"names that fail", servertest.Options{Resolver: fails}, fails.asked.Load},
	} {
		t.Run(f.name, func(t *testing.T) {
			o := f.opts
			o.Policy, o.Log = floodPolicy(), io.Discard
			for i := range newHosts {
				o.Hosts = append(o.Hosts, newHost(i))
			}
			flood(t, servertest.New(t, o), f.asked)
		})
	}
}

// flood measures a known client while nothing else happens and in a flood,
// with a newcomer each 100 ms.
func flood(t *testing.T, s *servertest.Server, asked func() int64) {
	stop := make(chan struct{})
	var clock sync.WaitGroup
	clock.Go(func() { // budgets refill by the clock
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.Clock.Advance(10 * time.Millisecond)
			case <-stop:
				return
			}
		}
	})
	const known = "https://app.new0.example/known.json"
	s.Docs.Publish(known, nil)
	if status, _ := ask(s, known, "198.51.100.1"); status != 200 {
		t.Fatalf("the known client: status %d", status)
	}
	warm := func(until <-chan struct{}) (took []time.Duration) {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-until:
				return took
			case <-tick.C:
			}
			status, d := ask(s, known, "198.51.100.1")
			if status != 200 {
				t.Errorf("the known client: status %d", status)
			}
			took = append(took, d)
		}
	}
	calm := make(chan struct{})
	time.AfterFunc(5*time.Second, func() { close(calm) })
	quiet := warm(calm)
	base := used(t)

	over := make(chan struct{})
	time.AfterFunc(floodFor, func() { close(over) })
	var all sync.WaitGroup
	var sent, refused atomic.Int64
	all.Go(func() { strangers(s, over, &sent, &refused) })
	all.Go(func() { newcomers(t, s, over) })
	loud := warm(over)
	all.Wait()
	t.Logf("flood: %d requests in %v, %d refused before a fetch, %d names asked for", sent.Load(), floodFor, refused.Load(), asked())
	q, l := p99(quiet), p99(loud)
	t.Logf("a known client, p99: quiet %v, in the flood %v, ratio %.1f", q, l, float64(l)/float64(q))
	close(stop)
	clock.Wait()
	check(t, s.Batch.Flush(t.Context()))
	returns(t, base)
	if n, err := s.Store.Clients(t.Context(), store.ClientQuery{}); err != nil || len(n) > 1+int(floodFor/newEvery) {
		t.Errorf("%d rows, %v: the flood left some", len(n), err)
	}
}

// strangers name a new host in each request, from many addresses, floodRate
// requests a second.
func strangers(s *servertest.Server, over <-chan struct{}, sent, refused *atomic.Int64) {
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		for range floodRate / 100 {
			i := sent.Add(1)
			all.Go(func() {
				id := fmt.Sprintf("https://h%d.flood%d.example/c", i, i%floodDomains)
				if status, _ := ask(s, id, fmt.Sprintf("203.0.113.%d", i%256)); status == 429 {
					refused.Add(1)
				}
			})
		}
	}
}

// newEvery is how often somebody new comes.
const newEvery = 100 * time.Millisecond

// newcomers come with clients that are not known, on hosts that a policy
// names, and none is refused.
func newcomers(t *testing.T, s *servertest.Server, over <-chan struct{}) {
	var took []time.Duration
	var mu sync.Mutex
	var all sync.WaitGroup
	tick := time.NewTicker(newEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-over:
			all.Wait()
			t.Logf("%d newcomers, none refused unless said above: median %v, p99 %v", len(took), median(took), p99(took))
			return
		case <-tick.C:
		}
		all.Go(func() {
			id := fmt.Sprintf("https://%s/new/%d", newHost(i), i)
			s.Docs.Publish(id, nil)
			status, d := ask(s, id, fmt.Sprintf("198.51.100.%d", 2+i%200))
			if status != 200 {
				t.Errorf("newcomer %d: status %d, want 200", i, status)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, d)
		})
	}
}

func p99(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

func median(took []time.Duration) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}
