package storetest

import (
	"context"
	"fmt"

	"guestlist/broker"
	"guestlist/store"
)

// counts sees how many clients there are, in all and of two domains.
func (e *env) counts(when string, total, a, b int) {
	e.Helper()
	u := e.s.Begin()
	gotA, err := u.ClientCount(context.Background(), "a.example", nil)
	gotB, err2 := u.ClientCount(context.Background(), "b.example", nil)
	if err != nil || err2 != nil || gotA.Total != total || gotA.PerDomain != a || gotB.PerDomain != b {
		e.Errorf("%s: ClientCount() = %+v of a, %+v of b, %v, %v, want %d, %d, %d", when, gotA, gotB, err, err2, total, a, b)
	}
}

// policyCount sees how many clients the busiest of some policies has.
func (e *env) policyCount(when string, want int, policies ...string) {
	e.Helper()
	got, err := e.s.Begin().ClientCount(context.Background(), "", policies)
	if err != nil || got.PerPolicy != want {
		e.Errorf("%s: ClientCount(%q) = %+v, %v, want %d of one policy", when, policies, got, err, want)
	}
}

func clientOf(domain string, i uint64) broker.Client {
	c := newClient(fmt.Sprintf("https://h.%s/%04d", domain, i), i)
	c.Domain = domain
	return c
}

func clientCounts(e *env) {
	e.counts("new store", 0, 0, 0)
	for i := range uint64(3) {
		e.must(func(u store.Unit) { u.CreateClient(clientOf("a.example", i+1)) })
	}
	e.must(func(u store.Unit) { u.CreateClient(clientOf("b.example", 1)) })
	e.must(func(u store.Unit) { u.CreateClient(newClient("https://old.example/", 1)) }) // of an earlier program: no domain
	e.counts("created", 5, 3, 1)
	e.want("second row", broker.ErrConflict, func(u store.Unit) { u.CreateClient(clientOf("a.example", 1)) })
	e.must(func(u store.Unit) {
		u.UpdateClient(clientOf("a.example", 2))
		u.ExtendClient(clientOf("a.example", 3).ID, 3, moment(1))
	})
	e.counts("updated", 5, 3, 1)
	moved := newClient("https://old.example/", 1)
	moved.Domain = "b.example"
	e.must(func(u store.Unit) { u.UpdateClient(moved) })
	e.counts("written anew", 5, 3, 2)
	again := clientOf("a.example", 1)
	again.Incarnation = 9
	e.must(func(u store.Unit) {
		u.EndClient(again.ID, 1, moment(0), "gone")
		u.CreateClient(again)
	})
	e.counts("ended and created in one unit", 5, 3, 2)
	again.Incarnation = 10
	e.must(func(u store.Unit) {
		u.CreateClient(again)
		u.EndClient(again.ID, 9, moment(0), "gone")
	})
	e.counts("created and ended in one unit", 5, 3, 2)
	e.must(func(u store.Unit) {
		u.CreateClient(clientOf("b.example", 7))
		u.EndClient(moved.ID, 1, moment(0), "gone")
		u.EndClient(again.ID, 10, moment(0), "gone")
	})
	e.reopen()
	e.counts("ended and reopened", 4, 2, 2)
	for name, c := range map[string]struct {
		domain           string
		total, perDomain int
		fits             bool
	}{
		"room":                {"a.example", 5, 3, true},
		"full":                {"a.example", 4, 3, false},
		"full domain":         {"a.example", 5, 2, false},
		"room in another one": {"c.example", 5, 1, true},
		"no domain":           {"", 5, 0, true},
	} {
		cap := func(u store.Unit) {
			u.CapClients(c.domain, nil, broker.Caps{Total: c.total, PerDomain: c.perDomain})
			u.PutCursor("x", 1)
		}
		if c.fits {
			e.must(cap)
		} else {
			e.want(name, broker.ErrConflict, cap)
		}
	}
	e.must(func(u store.Unit) { // judged against the state before the unit's own writes
		u.CapClients("a.example", nil, broker.Caps{Total: 5, PerDomain: 3})
		u.CreateClient(clientOf("a.example", 20))
		u.CreateClient(clientOf("a.example", 21))
	})
	e.counts("two at once", 6, 4, 2)
}

// policyCaps is about caps of one policy (B14).
func policyCaps(e *env) {
	by := func(i uint64, policies ...string) broker.Client {
		c := clientOf("a.example", i)
		c.Policy = policies
		return c
	}
	e.must(func(u store.Unit) {
		u.CreateClient(by(1, "p"))
		u.CreateClient(by(2, "p", "q"))
		u.CreateClient(by(3, "q"))
	})
	e.policyCount("created", 2, "p")
	e.policyCount("the busiest of two", 2, "r", "q")
	e.must(func(u store.Unit) { u.UpdateClient(by(3, "p")) })
	e.policyCount("moved to another policy", 3, "p")
	e.policyCount("moved away", 1, "q")
	room := broker.Caps{Total: 100, PerDomain: 100, PerPolicy: 3}
	e.want("full policy", broker.ErrConflict, func(u store.Unit) {
		u.CapClients("a.example", []string{"q", "p"}, room)
		u.CreateClient(by(4, "q", "p"))
	})
	e.must(func(u store.Unit) {
		u.CapClients("a.example", []string{"q"}, room)
		u.EndClient(by(1).ID, 1, moment(0), "gone")
		u.CreateClient(by(4, "q"))
	})
	e.reopen()
	e.policyCount("ended", 2, "p")
	e.policyCount("one more", 2, "q")
}

func clientCapRace(e *env) {
	won, spent, conflicts := e.race(50, func(i int, u store.Unit) {
		c := clientOf("a.example", uint64(i+1))
		u.CapClients(c.Domain, nil, broker.Caps{Total: 100, PerDomain: 10})
		u.CreateClient(c)
	})
	if won != 10 || spent != 0 || conflicts != 40 {
		e.Errorf("50 creators under a cap of 10: %d won, %d spent, %d conflicts, want 10, 0, 40", won, spent, conflicts)
	}
	e.counts("after the race", 10, 10, 0)
	won, _, conflicts = e.race(50, func(i int, u store.Unit) {
		c := clientOf("b.example", uint64(i+1))
		c.Policy = []string{"p", name("q", i)}
		u.CapClients(c.Domain, c.Policy, broker.Caps{Total: 100, PerDomain: 100, PerPolicy: 7})
		u.CreateClient(c)
	})
	if won != 7 || conflicts != 43 {
		e.Errorf("50 creators under a cap of 7 of one policy: %d won, %d conflicts, want 7, 43", won, conflicts)
	}
	e.policyCount("after the second race", 7, "p")
}
