package broker_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
)

// The cap of a domain and the cap in all refuse new clients before any fetch,
// evict nobody, and give way when somebody ends (B14, G-15, CU-12).
func TestB14_G15_Caps(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 100_000, PerDomain: 100_000, Total: 100_000})
	w.cfg.Caps = broker.Caps{Total: 5, PerDomain: 3}
	w.b = w.newBroker()
	path := func(i int) func(*broker.Request) { return asks("app.example", fmt.Sprintf("/%d", i), "192.0.2.1") }
	if n := spent(w, 10_000, path); n != 3 {
		t.Errorf("%d of 10,000 paths were admitted, want 3", n)
	}
	w.limited(w.admit(path(3)), broker.ReasonClientCapReached, 0)
	host := func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.example", i), "/c", "192.0.2.1") }
	if n := spent(w, 10, host); n != 2 || h.count() != 5 {
		t.Errorf("%d other hosts were admitted, %d fetches in all, want 2, 5", n, h.count())
	}
	w.limited(w.admit(host(3)), broker.ReasonClientCapReached, 0)
	for i := range 3 {
		if o := w.mustAdmit(path(i)); !o.Reused {
			t.Errorf("client %d was evicted", i)
		}
	}
	// Known and due: refetched, caps or not.
	w.at(2 * time.Hour)
	w.mustAdmit(path(1))
	// One that expired is replaced by itself, and makes no room for others.
	w.at(30 * 24 * time.Hour)
	w.limited(w.admit(host(4)), broker.ReasonClientCapReached, 0)
	if o := w.mustAdmit(path(0)); o.Reused || len(o.others) != 1 {
		t.Errorf("an expired client: reused %v, %d pruned, want a new life", o.Reused, len(o.others))
	}
	// One that is pruned and not admitted anew makes room.
	named := w.policy.answer
	w.policy.answer = unmatched
	w.refused(w.admit(path(2)), broker.ReasonNoPolicyMatched)
	w.policy.answer = named
	w.mustAdmit(path(7))
	w.limited(w.admit(path(8)), broker.ReasonClientCapReached, 0)
}

// B14: the cap of a policy bounds the clients that it admitted, refuses before
// any fetch, and leaves those of other policies alone.
func TestB14_CapOfAPolicy(t *testing.T) {
	w, h := crowd(t, broker.Budgets{PerSource: 100_000, PerDomain: 100_000, Total: 100_000})
	w.cfg.Caps = broker.Caps{PerPolicy: 2}
	w.b = w.newBroker()
	host := func(i int) func(*broker.Request) { return asks(fmt.Sprintf("h%d.example", i), "/c", "192.0.2.1") }
	if n := spent(w, 5, host); n != 2 || h.count() != 2 {
		t.Errorf("%d hosts were admitted with %d fetches, want 2 and 2", n, h.count())
	}
	o := w.admit(host(6))
	w.limited(o, broker.ReasonClientCapReached, 0)
	if !strings.Contains(o.err.Error(), "per_policy is reached") {
		t.Errorf("Admit() = %v, want the cap named", o.err)
	}
	named := w.policy.answer
	w.policy.answer = func(q broker.Query, d *broker.Decision) {
		named(q, d)
		d.Winner = []string{"another"}
	}
	w.mustAdmit(host(7))
}

// Two that found room at the same time do not both get it: the commit of the
// second fails, and the step that runs again is refused.
func TestB14_CapIsKeptByTheCommit(t *testing.T) {
	w, _ := crowd(t, broker.Budgets{PerSource: 30, PerDomain: 60, Total: 600})
	w.cfg.Caps = broker.Caps{Total: 1}
	w.b = w.newBroker()
	var units []*unit
	for _, host := range []string{"a.example", "b.example"} {
		req := w.request
		asks(host, "/c", "192.0.2.1")(&req)
		u := w.begin()
		if _, err := w.b.Admit(t.Context(), u, req); err != nil {
			t.Fatalf("Admit(%s) = %v", host, err)
		}
		units = append(units, u)
	}
	if first, second := units[0].commit(t.Context()), units[1].commit(t.Context()); first != nil || second != broker.ErrConflict {
		t.Errorf("commits = %v, %v, want nil, %v", first, second, broker.ErrConflict)
	}
	w.limited(w.admit(asks("b.example", "/c", "192.0.2.1")), broker.ReasonClientCapReached, 0)
}

// Negative caps are no caps.
func TestNewRefusesNegativeCaps(t *testing.T) {
	cfg := newWorld(t).cfg
	for _, c := range []broker.Caps{{Total: -1}, {PerDomain: -1}} {
		cfg.Caps = c
		if _, err := broker.New(cfg); err == nil {
			t.Errorf("New(%+v) = nil, want an error", c)
		}
	}
}
