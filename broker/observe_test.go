package broker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/fetch"
)

// observer keeps what it is told in the order of telling.
type observer struct {
	mu   sync.Mutex
	told []string
	ctx  []any // the mark of each context
}

// markKey is what the caller's context carries.
type markKey struct{}

func (o *observer) keep(ctx context.Context, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, fmt.Sprintf(format, args...))
	if ctx != nil {
		o.ctx = append(o.ctx, ctx.Value(markKey{}))
	}
}

func (o *observer) take() (told []string, ctx []any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	told, ctx, o.told, o.ctx = o.told, o.ctx, nil, nil
	return told, ctx
}

func (o *observer) funcs() broker.Observer {
	return broker.Observer{
		Decided: func(ctx context.Context, d broker.Decided) {
			o.keep(ctx, "decided %s %s %s %v from %s of %s", d.Outcome, d.Reason, d.Phase, d.Policy, d.From, d.Host)
		},
		Fetched: func(ctx context.Context, f broker.Fetched) { o.keep(ctx, "fetched %s of %s", f.Reason, f.Host) },
		Spent:   func(_ context.Context, s broker.Spent) { o.keep(nil, "spent %s", s.Budget) },
	}
}

func TestObserver(t *testing.T) {
	o := &observer{}
	h := &everyHost{hits: map[string]int{}, broken: map[string]error{}, slow: map[string]chan struct{}{}, fresh: time.Hour}
	w := newWorld(t, func(c *broker.Config) {
		c.Fetch, c.Observe, c.Budgets = h, o.funcs(), broker.Budgets{PerSource: 4, PerDomain: 2, Total: 40, Concurrent: 8}
	})
	h.now = w.clock
	h.breaks("down.example", &fetch.Error{Reason: string(broker.ReasonFetchDNS), Transient: true})
	for _, test := range []struct {
		name string
		ask  func(*broker.Request)
		want []string
	}{
		{"admitted", asks("a.example", "/c", "192.0.2.1"), []string{
			"fetched  of a.example", "decided admitted  document [p] from network of a.example"}},
		{"reused", asks("a.example", "/c", "192.0.2.1"), []string{
			"decided reused  document [p] from store of a.example"}},
		{"fetch failed", asks("down.example", "/c", "192.0.2.1"), []string{
			"fetched fetch_dns of down.example", "decided refused fetch_dns url [p] from  of down.example"}},
		{"failed again", asks("down.example", "/c", "192.0.2.1"), []string{
			"fetched fetch_dns of down.example", "decided refused fetch_dns url [p] from  of down.example"}},
		{"paced", asks("down.example", "/c", "192.0.2.1"), []string{
			"spent pace", "decided refused fetch_paced url [p] from  of down.example"}},
		{"domain", asks("down.example", "/d", "192.0.2.2"), []string{
			"spent per_domain", "decided refused rate_limited url [p] from  of down.example"}},
		{"last of the source", asks("b.example", "/c", "192.0.2.1"), []string{
			"fetched  of b.example", "decided admitted  document [p] from network of b.example"}},
		{"source", asks("c.example", "/c", "192.0.2.1"), []string{
			"spent per_source", "decided refused rate_limited url [p] from  of c.example"}},
		{"malformed", func(r *broker.Request) { r.ClientID = "https://a.example/#x" }, []string{
			"decided refused client_id_malformed  [] from  of "}},
	} {
		req := w.request
		test.ask(&req)
		u := w.begin()
		w.b.Admit(context.WithValue(t.Context(), markKey{}, test.name), u, req)
		if err := u.commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		told, ctx := o.take()
		if !slices.Equal(told, test.want) {
			t.Errorf("%s: told %q, want %q", test.name, told, test.want)
		}
		for _, mark := range ctx {
			if mark != test.name {
				t.Errorf("%s: told under the context %v", test.name, mark)
			}
		}
	}
}

// Every record of a traced request names its trace and its span, the end of a
// client that it met too; that of another names none.
func TestTraceInTheRecords(t *testing.T) {
	w := newWorld(t)
	const trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	traced := func(r *broker.Request) { r.TraceID, r.SpanID = trace, span }
	w.mustAdmit(traced)
	w.mustAdmit()
	w.at(40 * 24 * time.Hour)
	w.mustAdmit(traced)
	var got []string
	for _, r := range slices.Concat(w.records, w.later) {
		got = append(got, strings.TrimSpace(r.Event+" "+r.TraceID+" "+r.SpanID))
	}
	want := []string{
		"policy.activated", "admission.decided " + trace + " " + span, "client.expired " + trace + " " + span, "admission.decided " + trace + " " + span,
		"admission.decided",
	}
	if !slices.Equal(got, want) {
		t.Errorf("records and their traces:\n%q\nwant\n%q", got, want)
	}
}

// TestObserverNames: what is told names client and request, what matched, what
// came nearest and what ended, as the records do.
func TestObserverNames(t *testing.T) {
	var got []string
	told := func(format string, args ...any) { got = append(got, fmt.Sprintf(format, args...)) }
	w := newWorld(t, func(c *broker.Config) {
		c.Observe = broker.Observer{
			Decided: func(_ context.Context, d broker.Decided) {
				told("%s %s for %s: %v, %d candidates, %q, %q", d.Outcome, d.ClientID, d.RequestID, d.Err, len(d.Candidates), d.Why, d.NearestMiss)
			},
			Fetched: func(_ context.Context, f broker.Fetched) {
				told("fetched %s for %s: %v", f.ClientID, f.RequestID, f.Err)
			},
			Ended: func(_ context.Context, e broker.Ended) {
				told("%s %s of %s by %v for %s: %s", e.Event, e.Reason, e.ClientID, e.Policy, e.RequestID, e.Why)
			},
		}
	})
	w.mustAdmit()
	w.at(40 * 24 * time.Hour)
	w.mustAdmit(func(r *broker.Request) { r.RequestID = "later" })
	const client = "https://app.example.com/oauth/client.json"
	want := []string{
		"fetched " + client + " for req-1: <nil>",
		"admitted " + client + ` for req-1: <nil>, 1 candidates, "the only one", ""`,
		"client.expired client_ended of " + client + " by [p] for later: the client expired at 2026-11-26T13:00:00Z",
		"fetched " + client + " for later: <nil>",
		"admitted " + client + ` for later: <nil>, 1 candidates, "the only one", ""`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%q, want\n%q", got, want)
	}
}
