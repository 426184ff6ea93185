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
	gotTotal, gotA, err := u.ClientCount(context.Background(), "a.example")
	_, gotB, err2 := u.ClientCount(context.Background(), "b.example")
	if err != nil || err2 != nil || gotTotal != total || gotA != a || gotB != b {
		e.Errorf("%s: ClientCount() = %d, %d of a, %d of b, %v, %v, want %d, %d, %d", when, gotTotal, gotA, gotB, err, err2, total, a, b)
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
			u.CapClients(c.domain, c.total, c.perDomain)
			u.PutCursor("x", 1)
		}
		if c.fits {
			e.must(cap)
		} else {
			e.want(name, broker.ErrConflict, cap)
		}
	}
	e.must(func(u store.Unit) { // judged against the state before the unit's own writes
		u.CapClients("a.example", 5, 3)
		u.CreateClient(clientOf("a.example", 20))
		u.CreateClient(clientOf("a.example", 21))
	})
	e.counts("two at once", 6, 4, 2)
}

func clientCapRace(e *env) {
	won, spent, conflicts := e.race(50, func(i int, u store.Unit) {
		c := clientOf("a.example", uint64(i+1))
		u.CapClients(c.Domain, 100, 10)
		u.CreateClient(c)
	})
	if won != 10 || spent != 0 || conflicts != 40 {
		e.Errorf("50 creators under a cap of 10: %d won, %d spent, %d conflicts, want 10, 0, 40", won, spent, conflicts)
	}
	e.counts("after the race", 10, 10, 0)
}
