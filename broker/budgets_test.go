package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
)

// everyHost serves a harmless document for every identifier but those that are
// broken, and holds back those that are slow.
type everyHost struct {
	mu     sync.Mutex
	hits   map[string]int
	broken map[string]error         // by host
	slow   map[string]chan struct{} // by host; answered once it is closed
	body   func(id cimd.ID) []byte  // nil: the harmless document
	fresh  time.Duration
	now    func() time.Time
	flying chan string // if set, gets the host of each fetch that begins
}

func (h *everyHost) Document(_ context.Context, id cimd.ID, _ fetch.Limits, _ fetch.Held) (fetch.Document, error) {
	h.mu.Lock()
	h.hits[id.String()]++
	err, gate, body := h.broken[id.Host], h.slow[id.Host], h.body
	h.mu.Unlock()
	if h.flying != nil {
		h.flying <- id.Host
	}
	if gate != nil {
		<-gate
	}
	if err != nil {
		return fetch.Document{}, err
	}
	b := document(map[string]any{"client_id": id.String(), "redirect_uris": []string{"https://" + id.Host + "/cb"}})
	if body != nil {
		b = body(id)
	}
	return fetch.Document{Body: b, FetchedAt: h.now(), FreshFor: h.fresh}, nil
}

// count returns how many fetches there were, of all hosts.
func (h *everyHost) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, v := range h.hits {
		n += v
	}
	return n
}

func (h *everyHost) breaks(host string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken[host] = err
}

// crowd is a world of many clients. Policy names everybody by a wildcard, but
// for *.exact.example.
func crowd(t testing.TB, limit broker.Budgets) (*world, *everyHost) {
	t.Helper()
	h := &everyHost{hits: map[string]int{}, broken: map[string]error{}, slow: map[string]chan struct{}{}, fresh: time.Hour}
	w := newWorld(t, func(c *broker.Config) { c.Fetch, c.Budgets = h, limit })
	h.now = w.clock
	w.policy.answer = func(q broker.Query, d *broker.Decision) {
		pattern := "https://*.example/**"
		if strings.HasSuffix(q.Input.Client.Host, ".exact.example") {
			pattern = "https://" + q.Input.Client.Host + "/**"
		}
		d.Candidates = []decisionlog.Candidate{{Policy: "p", Pattern: pattern, Mode: "enforce", Settles: true}}
	}
	return w, h
}

// asks changes a request to be for a client of host, from a source.
func asks(host, path, source string) func(*broker.Request) {
	uri := "https://" + host + "/cb"
	return func(r *broker.Request) {
		r.ClientID, r.RedirectURI = "https://"+host+path, &uri
		r.Facts.Source.IP = source
	}
}

// limited checks that o was refused before any fetch, for which reason, and
// when to try again.
func (w *world) limited(o outcome, reason broker.Reason, after time.Duration) {
	w.t.Helper()
	w.refused(o, reason)
	var e *broker.Error
	if errors.As(o.err, &e) && e.RetryAfter != after {
		w.t.Errorf("Admit() = %v, retry after %v, want %v", e, e.RetryAfter, after)
	}
	if o.commits != 0 {
		w.t.Errorf("Admit() = %v with %d commits, want none", o.err, o.commits)
	}
	if reason.Public() != broker.PublicTryLater {
		w.t.Errorf("%s is %s to strangers, want try_later", reason, reason.Public())
	}
}

// spent is how many of n requests were admitted, each for a client of its own.
func spent(w *world, n int, ask func(i int) func(*broker.Request)) int {
	w.t.Helper()
	admitted := 0
	for i := range n {
		if o := w.admit(ask(i)); o.err == nil {
			admitted++
		}
	}
	return admitted
}

// A flood of 10,000 distinct URLs from one source costs what its budget says,
// and neither known clients nor a newcomer from elsewhere notice it (G-15,
// B14).
func TestG15_B14_FloodOfDistinctURLs(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 30, PerDomain: 60, Total: 600})
	w.mustAdmit(asks("known.example", "/c", "198.51.100.7"))
	w.at(10 * time.Minute)
	before := h.count()
	for i := range 10_000 {
		o := w.admit(asks(fmt.Sprintf("h%d.example", i), "/c", "192.0.2.1"))
		if i < 30 {
			if o.err != nil {
				t.Fatalf("request %d: Admit() = %v, want it inside the budget", i, o.err)
			}
			continue
		}
		w.limited(o, broker.ReasonRateLimited, 2*time.Second)
	}
	if n := h.count() - before; n != 30 {
		t.Errorf("the flood cost %d fetches, want 30", n)
	}
	if len(w.rows) != 31 {
		t.Errorf("%d rows, want those that were admitted", len(w.rows))
	}
	before = h.count()
	if o := w.mustAdmit(asks("known.example", "/c", "192.0.2.1")); !o.Reused || h.count() != before {
		t.Errorf("a known client from the source of the flood: reused %v, %d fetches", o.Reused, h.count()-before)
	}
	w.mustAdmit(asks("newcomer.example", "/c", "192.0.2.2"))
	// Known, and due for a look: still no newcomer.
	w.at(2 * time.Hour)
	spent(w, 30, func(i int) func(*broker.Request) { return asks(fmt.Sprintf("j%d.example", i), "/c", "192.0.2.1") })
	w.limited(w.admit(asks("last.example", "/c", "192.0.2.1")), broker.ReasonRateLimited, 2*time.Second)
	before = h.count()
	if o := w.mustAdmit(asks("known.example", "/c", "192.0.2.1")); o.Reused || h.count() != before+1 {
		t.Errorf("a known client that is due: reused %v, %d fetches, want one", o.Reused, h.count()-before)
	}
}

// Each budget by itself, and what it counts as one.
func TestG15_Budgets(t *testing.T) {
	lots := 1000
	for name, c := range map[string]struct {
		limit broker.Budgets
		want  int // of 50
		ask   func(i int) func(*broker.Request)
	}{
		"source": {broker.Budgets{PerSource: 7, PerDomain: lots, Total: lots}, 7,
			func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.example", i), "/c", "192.0.2.1") }},
		"sources": {broker.Budgets{PerSource: 1, PerDomain: lots, Total: lots}, 50,
			func(i int) func(*broker.Request) {
				return asks(fmt.Sprintf("h%d.example", i), "/c", fmt.Sprintf("192.0.2.%d", i))
			}},
		"an IPv6 /64 is one source": {broker.Budgets{PerSource: 7, PerDomain: lots, Total: lots}, 7,
			func(i int) func(*broker.Request) {
				return asks(fmt.Sprintf("h%d.example", i), "/c", fmt.Sprintf("2001:db8::%x:1", i))
			}},
		"two /64 are two": {broker.Budgets{PerSource: 1, PerDomain: lots, Total: lots}, 50,
			func(i int) func(*broker.Request) {
				return asks(fmt.Sprintf("h%d.example", i), "/c", fmt.Sprintf("2001:db8:0:%x::1", i))
			}},
		"IPv4 in IPv6 is IPv4": {broker.Budgets{PerSource: 1, PerDomain: lots, Total: lots}, 50,
			func(i int) func(*broker.Request) {
				return asks(fmt.Sprintf("h%d.example", i), "/c", fmt.Sprintf("::ffff:192.0.2.%d", i))
			}},
		"no address is one source": {broker.Budgets{PerSource: 7, PerDomain: lots, Total: lots}, 7,
			func(i int) func(*broker.Request) {
				return asks(fmt.Sprintf("h%d.example", i), "/c", strings.Repeat("x", i))
			}},
		"paths of one domain (B14)": {broker.Budgets{PerSource: lots, PerDomain: 7, Total: lots}, 7,
			func(i int) func(*broker.Request) { return asks("app.example", fmt.Sprintf("/%d", i), "192.0.2.1") }},
		"hosts of one domain": {broker.Budgets{PerSource: lots, PerDomain: 7, Total: lots}, 7,
			func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.app.example", i), "/c", "192.0.2.1") }},
		"total, less the share of exact hosts": {broker.Budgets{PerSource: lots, PerDomain: lots, Total: 10}, 8,
			func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.example", i), "/c", "192.0.2.1") }},
		"total of exact hosts": {broker.Budgets{PerSource: lots, PerDomain: lots, Total: 10}, 10,
			func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.exact.example", i), "/c", "192.0.2.1") }},
	} {
		t.Run(name, func(t *testing.T) {
			w, h := crowd(t, c.limit)
			if got := spent(w, 50, c.ask); got != c.want || h.count() != c.want {
				t.Errorf("%d of 50 were admitted with %d fetches, want %d", got, h.count(), c.want)
			}
		})
	}
}

// A flood that has the whole total leaves the reserved share to hosts that a
// policy names, and what is in between comes back with time (G-15).
func TestG15_ReservedShareAndRefill(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 1000, PerDomain: 1000, Total: 60})
	wild := func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.example", i), "/c", "192.0.2.1") }
	if got := spent(w, 100, wild); got != 48 {
		t.Errorf("a flood was given %d of 60, want 48", got)
	}
	w.limited(w.admit(wild(101)), broker.ReasonRateLimited, time.Second)
	exact := func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.exact.example", i), "/c", "192.0.2.9") }
	if got := spent(w, 20, exact); got != 12 {
		t.Errorf("hosts that are named got %d, want the reserved 12", got)
	}
	w.limited(w.admit(exact(21)), broker.ReasonRateLimited, time.Second)
	w.limited(w.admit(wild(102)), broker.ReasonRateLimited, 13*time.Second)
	w.at(time.Second)
	w.mustAdmit(exact(22))
	w.limited(w.admit(wild(103)), broker.ReasonRateLimited, 13*time.Second)
	w.at(time.Minute)
	if got := spent(w, 100, func(i int) func(*broker.Request) { return wild(200 + i) }); got != 47 {
		t.Errorf("59 s later a flood was given %d, want 47", got)
	}
	if h.count() != 48+12+1+47 {
		t.Errorf("%d fetches", h.count())
	}
	// A clock that was set back locks nobody out for longer than a minute.
	w.at(-24 * time.Hour)
	o := w.admit(exact(500))
	var e *broker.Error
	if o.err != nil && (!errors.As(o.err, &e) || e.RetryAfter > time.Minute) {
		t.Errorf("after the clock was set back: %v", o.err)
	}
}

// What policy or form refuse costs no budget (H-02).
func TestH02_RefusalsByPolicySpendNothing(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 1})
	named := w.policy.answer
	w.policy.answer = deny(broker.PhaseURL)
	for i := range 100 {
		w.refused(w.admit(asks(fmt.Sprintf("h%d.example", i), "/c", "192.0.2.1")), broker.ReasonPolicyDenied)
		w.refused(w.admit(asks("app.example", "/a/../b", "192.0.2.1")), broker.ReasonClientIDMalformed)
	}
	if h.count() != 0 {
		t.Errorf("%d fetches for what policy denies", h.count())
	}
	w.policy.answer = named
	w.mustAdmit(asks("app.example", "/c", "192.0.2.1"))
}

// A refetch for a known client that fails spends, one that succeeds does not.
func TestG15_OnlyFailuresOfKnownClientsSpend(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 2})
	w.mustAdmit(asks("known.example", "/c", "192.0.2.1"))
	w.at(2 * time.Hour)
	w.mustAdmit(asks("known.example", "/c", "192.0.2.1"))
	if n := spent(w, 3, func(i int) func(*broker.Request) { return asks(fmt.Sprintf("a%d.example", i), "/c", "192.0.2.1") }); n != 2 {
		t.Errorf("after a refetch that succeeded %d newcomers were let in, want 2", n)
	}
	w.at(4 * time.Hour)
	h.breaks("known.example", trouble())
	if o := w.mustAdmit(asks("known.example", "/c", "192.0.2.1")); !o.Reused {
		t.Error("a usable document was not used")
	}
	if n := spent(w, 3, func(i int) func(*broker.Request) { return asks(fmt.Sprintf("b%d.example", i), "/c", "192.0.2.1") }); n != 1 {
		t.Errorf("after a refetch that failed %d newcomers were let in, want 1", n)
	}
}

// Hosts that hang hold a part of the places only, one source a quarter of
// them, and those that a policy names find one (G-16).
func TestG16_ConcurrentFetches(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 1000, PerDomain: 1000, Total: 10_000, Concurrent: 20})
	h.flying = make(chan string, 100)
	gate := make(chan struct{})
	var hanging sync.WaitGroup
	hang := func(host, source string) {
		h.mu.Lock()
		h.slow[host] = gate
		h.mu.Unlock()
		req := w.request
		asks(host, "/c", source)(&req)
		hanging.Go(func() {
			if _, err := w.b.Admit(t.Context(), w.begin(), req); err != nil {
				t.Errorf("Admit(%s) = %v once its host answers", host, err)
			}
		})
		<-h.flying
	}
	for i := range 5 {
		hang(fmt.Sprintf("s%d.example", i), "192.0.2.1")
	}
	w.limited(w.admit(asks("more.example", "/c", "192.0.2.1")), broker.ReasonRateLimited, time.Second)
	w.mustAdmit(asks("quick.example", "/c", "192.0.2.2")) // a slow host blocks no other
	<-h.flying
	for i := range 11 {
		hang(fmt.Sprintf("t%d.example", i), fmt.Sprintf("198.51.100.%d", i))
	}
	w.limited(w.admit(asks("newcomer.example", "/c", "192.0.2.3")), broker.ReasonRateLimited, time.Second)
	w.mustAdmit(asks("named.exact.example", "/c", "192.0.2.3"))
	close(gate)
	hanging.Wait()
	w.mustAdmit(asks("more.example", "/c", "192.0.2.1"))
}

// Memory is bounded whatever is sent, and a flood of sources does not give a
// source that has spent everything a new budget.
func TestG15_ManySources(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 2, PerDomain: 100_000, Total: 100_000})
	const greedy = 20 // sources that have spent everything
	one := func(i int) func(*broker.Request) {
		return asks(fmt.Sprintf("h%d.example", i), "/c", fmt.Sprintf("192.0.2.%d", i%greedy))
	}
	if n := spent(w, 3*greedy, one); n != 2*greedy {
		t.Fatalf("%d were admitted, want %d", n, 2*greedy)
	}
	h.body = func(cimd.ID) []byte { return []byte("{") }
	spent(w, 12_000, func(i int) func(*broker.Request) {
		return asks(fmt.Sprintf("g%d.example", i), "/c", fmt.Sprintf("10.1.%d.%d", i/250, i%250))
	})
	for i := range greedy {
		w.limited(w.admit(one(100*greedy+i)), broker.ReasonRateLimited, 30*time.Second)
	}
}

// Negative budgets are no budgets.
func TestNewRefusesNegativeBudgets(t *testing.T) {
	cfg := newWorld(t).cfg
	for _, b := range []broker.Budgets{{PerSource: -1}, {PerDomain: -1}, {Total: -1}, {Concurrent: -1}} {
		cfg.Budgets = b
		if _, err := broker.New(cfg); err == nil {
			t.Errorf("New(%+v) = nil, want an error", b)
		}
	}
}
