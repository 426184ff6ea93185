package storetest

import (
	"context"
	"slices"
	"time"

	"guestlist/store"
)

// sweep sweeps and expects n rows to go.
func (e *env) sweep(what string, now time.Time, max, n int) {
	e.Helper()
	if got, err := e.s.Sweep(context.Background(), now, max); err != nil || got != n {
		e.Errorf("%s: Sweep(%v, %d) = %d, %v, want %d", what, now, max, got, err, n)
	}
}

func (e *env) session(hash string) bool {
	e.Helper()
	s, ok, err := e.s.Begin().Session(context.Background(), hash)
	_, ok = found(e, s, ok, err)
	return ok
}

// sweepable stores one row of each kind, and moves the end of some.
func (e *env) sweepable() {
	e.Helper()
	ended := newGrant("ended", 1)
	touched := newGrant("touched", 1)
	touched.ExpiresAt = moment(0)
	expired := newGrant("expired", 1)
	expired.ExpiresAt = moment(time.Hour)
	e.must(func(u store.Unit) {
		u.CreateClient(newClient(clientID, 1))
		u.PutSession(store.Session{Hash: "s", ExpiresAt: moment(0)})
		u.PutSession(store.Session{Hash: "longer", ExpiresAt: moment(0)})
		u.PutCode(newCode("h"))
		u.Spend(store.SpendTicket, "t", moment(2*time.Hour))
		u.PutGrant(expired)
		u.PutGrant(ended)
		u.PutGrant(touched)
		unspent, access := newRefresh("r"), newAccess("k")
		unspent.KeepUntil, access.ExpiresAt = moment(4*time.Hour), moment(5*time.Hour)
		u.PutRefresh(unspent)
		u.PutAccess(access)
	})
	e.must(func(u store.Unit) {
		u.PutSession(store.Session{Hash: "longer", ExpiresAt: moment(3 * time.Hour)})
		u.EndGrant("ended", moment(2*time.Hour), "gone")
		u.TouchGrant("touched", moment(0), moment(3*time.Hour))
		u.SpendCode("h", moment(0))
		u.EndAccess("k", moment(0))
	})
}

func sweepBoundary(e *env) {
	e.sweepable()
	gone := map[string]func() bool{
		"session":            func() bool { return !e.session("s") },
		"session put again":  func() bool { return !e.session("longer") },
		"spent code":         func() bool { _, ok := e.code("h"); return !ok },
		"spent mark":         func() bool { return !e.spent("t") },
		"refresh token":      func() bool { _, ok := e.refresh("r"); return !ok },
		"access token":       func() bool { _, ok := e.access("k"); return !ok },
		"grant that expired": func() bool { _, ok := e.grant("expired"); return !ok },
		"grant that ended":   func() bool { _, ok := e.grant("ended"); return !ok },
		"grant touched":      func() bool { _, ok := e.grant("touched"); return !ok },
	}
	for _, test := range []struct {
		name string
		at   time.Time
	}{
		{"session", moment(0)},
		{"spent code", moment(time.Hour)},
		{"spent mark", moment(2 * time.Hour)},
		{"session put again", moment(3 * time.Hour)},
		{"refresh token", moment(4 * time.Hour)},
		{"access token", moment(5 * time.Hour)},
		{"grant that expired", moment(time.Hour).Add(store.GrantKept)},
		{"grant that ended", moment(2 * time.Hour).Add(store.GrantKept)},
		{"grant touched", moment(3 * time.Hour).Add(store.GrantKept)},
	} {
		e.sweep(test.name+", one nanosecond early", test.at.Add(-1), 100, 0)
		if gone[test.name]() {
			e.Errorf("%s: gone before its time", test.name)
		}
		e.sweep(test.name, test.at, 100, 1)
		if !gone[test.name]() {
			e.Errorf("%s: still there", test.name)
		}
	}
	if _, ok := e.client(clientID); !ok {
		e.Error("Sweep took a client")
	}
	e.must(func(u store.Unit) { u.EndClient(clientID, 1, moment(0), "gone") })
	e.must(func(u store.Unit) { u.Spend(store.SpendTicket, "t", moment(0)) })
}

func sweepMax(e *env) {
	const n = 450
	e.must(func(u store.Unit) {
		for i := range n {
			u.PutSession(store.Session{Hash: name("s", i), ExpiresAt: moment(time.Duration(i))})
		}
		u.PutSession(store.Session{Hash: "kept", ExpiresAt: moment(time.Hour)})
		u.PutSession(store.Session{Hash: "ended", ExpiresAt: moment(0)})
		u.PutSession(store.Session{Hash: "zero"})
	})
	e.must(func(u store.Unit) { u.EndSession("ended") })
	e.sweep("a session without an end", moment(-1), 10, 1)
	e.sweep("none", moment(time.Minute), 0, 0)
	e.sweep("some", moment(time.Minute), 5, 5)
	if e.session(name("s", 4)) || !e.session(name("s", 5)) {
		e.Error("Sweep does not begin with the oldest")
	}
	e.sweep("the rest", moment(time.Minute), 10*n, n-5)
	e.sweep("again", moment(time.Minute), 10*n, 0)
	if !e.session("kept") {
		e.Error("Sweep took a session that is not over")
	}
}

// expired is about the list of clients whose life is over (PF-13, B14).
func expired(e *env) {
	listed := func(when string, at time.Time, max int, want ...string) {
		e.Helper()
		rows, err := e.s.Expired(context.Background(), at, max)
		got := []string{}
		for _, c := range rows {
			if got = append(got, c.ID); string(c.Published) != string(newClient(c.ID, 1).Published) {
				e.Errorf("%s: client %s lacks its document", when, c.ID)
			}
		}
		if err != nil || !slices.Equal(got, want) {
			e.Errorf("%s: Expired() = %q, %v, want %q", when, got, err, want)
		}
	}
	for i, id := range []string{"b", "a", "c", "d"} {
		c := newClient(id, 1)
		c.ExpiresAt = moment(time.Duration(i) * time.Hour)
		e.must(func(u store.Unit) { u.CreateClient(c) })
	}
	listed("one nanosecond early", moment(-1), 10)
	listed("on the boundary", moment(0), 10, "b")
	listed("all", moment(24*time.Hour), 10, "b", "a", "c", "d")
	listed("at most two", moment(24*time.Hour), 2, "b", "a")
	e.must(func(u store.Unit) {
		u.ExtendClient("b", 1, moment(5*time.Hour))
		u.ExtendClient("a", 1, moment(0)) // earlier: nothing moves
		sooner := newClient("d", 1)
		sooner.ExpiresAt = moment(time.Minute)
		u.UpdateClient(sooner)
		u.EndClient("c", 1, moment(0), "gone")
	})
	e.reopen()
	listed("moved", moment(4*time.Hour), 10, "d", "a")
	listed("moved, all", moment(5*time.Hour), 10, "d", "a", "b")
	again := newClient("a", 2)
	again.ExpiresAt = moment(9 * time.Hour)
	e.must(func(u store.Unit) {
		u.EndClient("a", 1, moment(0), "gone")
		u.CreateClient(again)
	})
	listed("admitted anew", moment(8*time.Hour), 10, "d", "b")
}
