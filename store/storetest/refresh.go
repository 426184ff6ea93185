package storetest

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

func newRefresh(hash string) store.Refresh {
	return store.Refresh{
		Hash: hash, GrantID: "g", ClientID: clientID, Parent: "p", IssuedAt: moment(0), ExpiresAt: moment(time.Hour),
		AbsoluteEnd: moment(48 * time.Hour), KeepUntil: moment(48 * time.Hour),
	}
}

// newUse is a use at moment(0) with a grace window of ten seconds.
func newUse(successor string) store.RefreshUse {
	return store.RefreshUse{
		At: moment(0), Successor: successor, Answer: []byte("sealed\x00\xff"), GraceUntil: moment(10 * time.Second),
		KeepUntil: moment(48 * time.Hour), Source: "192.0.2.1",
	}
}

func (e *env) refresh(hash string) (store.Refresh, bool) {
	e.Helper()
	r, ok, err := e.s.Begin().Refresh(context.Background(), hash)
	return found(e, r, ok, err)
}

// spentRefresh stores a grant and a token of it that was spent by newUse.
func (e *env) spentRefresh() {
	e.Helper()
	e.must(func(u store.Unit) {
		u.PutGrant(newGrant("g", 1))
		u.PutRefresh(newRefresh("h"))
	})
	e.must(func(u store.Unit) { u.SpendRefresh("h", newUse("h2")) })
}

func refreshRows(e *env) {
	want := newRefresh("h")
	e.must(func(u store.Unit) {
		u.PutGrant(newGrant("g", 1))
		u.PutRefresh(want)
	})
	if got, ok := e.refresh("h"); !ok || !reflect.DeepEqual(got, want) {
		e.Errorf("Refresh() = %+v, %v, want %+v", got, ok, want)
	}
	use := newUse("h2")
	u := e.s.Begin()
	u.SpendRefresh("h", use)
	want.SpentAt, want.Successor, want.Source, want.GraceUntil = use.At, use.Successor, use.Source, use.GraceUntil
	want.Answer = []byte("sealed\x00\xff")
	use.Answer[0] = '!' // the caller's own after staging
	if err := e.s.Commit(context.Background(), u); err != nil {
		e.Fatal(err)
	}
	e.reopen()
	if got, ok := e.refresh("h"); !ok || !reflect.DeepEqual(got, want) {
		e.Errorf("spent: Refresh() = %+v, %v, want %+v", got, ok, want)
	}
	if _, ok := e.refresh("absent"); ok {
		e.Error("Refresh() finds a token that was never stored")
	}
	e.want("stored again", broker.ErrConflict, func(u store.Unit) { u.PutRefresh(newRefresh("h")) })
	e.want("stored twice at once", broker.ErrConflict, func(u store.Unit) {
		u.PutRefresh(newRefresh("x"))
		u.PutRefresh(newRefresh("x"))
	})
	e.want("spent again", broker.ErrSpent, func(u store.Unit) { u.SpendRefresh("h", newUse("h3")) })
	e.want("spent when unknown", broker.ErrSpent, func(u store.Unit) { u.SpendRefresh("absent", newUse("h3")) })
	e.want("stored and spent at once", broker.ErrSpent, func(u store.Unit) {
		u.PutRefresh(newRefresh("y"))
		u.SpendRefresh("y", newUse("h3"))
	})
	e.must(func(u store.Unit) { u.PutRefresh(newRefresh("z")) })
	e.want("spent twice at once", broker.ErrSpent, func(u store.Unit) {
		u.SpendRefresh("z", newUse("h3"))
		u.SpendRefresh("z", newUse("h4"))
	})
	if z, _ := e.refresh("z"); !reflect.DeepEqual(z, newRefresh("z")) {
		e.Errorf("after a unit that lost: Refresh() = %+v, want it unspent", z)
	}
}

func refreshedAt(e *env) {
	e.must(func(u store.Unit) {
		u.PutGrant(newGrant("g", 1))
		orphan := newRefresh("orphan")
		orphan.GrantID = "absent"
		u.PutRefresh(newRefresh("a"))
		u.PutRefresh(newRefresh("b"))
		u.PutRefresh(orphan)
	})
	if g, _ := e.grant("g"); !g.RefreshedAt.IsZero() {
		e.Errorf("new grant: refreshed at %v, want never", g.RefreshedAt)
	}
	for _, hash := range []string{"a", "b"} { // the second use is the earlier one
		use := newUse("s")
		use.At = map[string]time.Time{"a": moment(time.Minute), "b": moment(0)}[hash]
		e.must(func(u store.Unit) { u.SpendRefresh(hash, use) })
		want := newGrant("g", 1)
		want.RefreshedAt = moment(time.Minute)
		if g, _ := e.grant("g"); !reflect.DeepEqual(g, want) {
			e.Errorf("after the use of %s: Grant() = %+v, want %+v", hash, g, want)
		}
	}
	e.must(func(u store.Unit) { u.SpendRefresh("orphan", newUse("s")) })
	if _, ok := e.grant("absent"); ok {
		e.Error("SpendRefresh made a grant")
	}
}

func refreshRace(e *env) {
	e.must(func(u store.Unit) {
		u.PutGrant(newGrant("g", 1))
		u.PutRefresh(newRefresh("h"))
	})
	won, spent, conflicts := e.race(16, func(i int, u store.Unit) {
		next := name("next", i)
		u.RequireGrant("g")
		u.SpendRefresh("h", newUse(next))
		u.PutRefresh(newRefresh(next))
		u.Append(newRecord(next))
	})
	if won != 1 || spent != 15 || conflicts != 0 {
		e.Errorf("16 spenders: %d won, %d lost by ErrSpent, %d conflicts, want 1, 15, 0", won, spent, conflicts)
	}
	r, _ := e.refresh("h")
	for i := range 16 {
		next := name("next", i)
		if _, ok := e.refresh(next); ok != (r.Successor == next) {
			e.Errorf("successor %s is there: %v, but the token names %s", next, ok, r.Successor)
		}
	}
	if n := len(e.records(store.RecordQuery{})); n != 1 {
		e.Errorf("%d records, want 1", n)
	}
}

func refreshRepeats(e *env) {
	e.spentRefresh()
	const max = 20
	won, spent, conflicts := e.race(40, func(i int, u store.Unit) {
		u.RepeatRefresh("h", moment(time.Duration(i)), max)
		u.Append(newRecord(name("d", i)))
	})
	if won != max || spent != 0 || conflicts != 40-max {
		e.Errorf("40 repeats: %d won, %d spent, %d conflicts, want %d, 0, %d", won, spent, conflicts, max, 40-max)
	}
	if r, _ := e.refresh("h"); r.Repeats != max {
		e.Errorf("Repeats = %d, want %d", r.Repeats, max)
	}
	if n := len(e.records(store.RecordQuery{})); n != max {
		e.Errorf("%d records, want %d", n, max)
	}
	e.want("twice at once, with room for one", broker.ErrConflict, func(u store.Unit) {
		u.RepeatRefresh("h", moment(0), max+1)
		u.RepeatRefresh("h", moment(0), max+1)
	})
	e.must(func(u store.Unit) { u.RepeatRefresh("h", moment(0), max+1) })
}

func refreshGrace(e *env) {
	e.spentRefresh()
	plain := newUse("s")
	plain.Answer = nil
	unspent := newRefresh("unspent") // with all that a spent one has
	unspent.Answer, unspent.GraceUntil = []byte("sealed"), moment(time.Hour)
	e.must(func(u store.Unit) {
		u.PutRefresh(unspent)
		u.PutRefresh(newRefresh("no answer"))
	})
	e.must(func(u store.Unit) { u.SpendRefresh("no answer", plain) })
	end := newUse("").GraceUntil
	for _, test := range []struct {
		name, hash string
		at         time.Time
		max        int
		ok         bool
	}{
		{"one nanosecond before the end", "h", end.Add(-1), 20, true},
		{"at the end", "h", end, 20, false},
		{"one nanosecond after the end", "h", end.Add(1), 20, false},
		{"none allowed", "h", moment(0), 0, false},
		{"as many as there were", "h", moment(0), 1, false},
		{"one more", "h", moment(0), 2, true},
		{"not spent", "unspent", moment(0), 20, false},
		{"spent without an answer", "no answer", moment(0), 20, false},
		{"unknown", "absent", moment(0), 20, false},
	} {
		repeat := func(u store.Unit) { u.RepeatRefresh(test.hash, test.at, test.max) }
		if test.ok {
			e.must(repeat)
		} else {
			e.want(test.name, broker.ErrConflict, repeat)
		}
	}
	if r, _ := e.refresh("h"); r.Repeats != 2 {
		e.Errorf("Repeats = %d, want 2", r.Repeats)
	}
}

func refreshClosed(e *env) {
	e.spentRefresh()
	e.must(func(u store.Unit) { u.RepeatRefresh("h", moment(0), 20) })
	want, _ := e.refresh("h")
	want.Answer = nil
	for range 2 {
		e.must(func(u store.Unit) { u.CloseGrace("h") })
		e.reopen()
		if got, ok := e.refresh("h"); !ok || !reflect.DeepEqual(got, want) {
			e.Errorf("closed: Refresh() = %+v, %v, want %+v", got, ok, want)
		}
		e.want("closed", broker.ErrConflict, func(u store.Unit) { u.RepeatRefresh("h", moment(0), 20) })
	}
	e.must(func(u store.Unit) { u.PutRefresh(newRefresh("unspent")) })
	e.must(func(u store.Unit) {
		u.CloseGrace("absent")
		u.CloseGrace("unspent")
	})
	if _, ok := e.refresh("absent"); ok {
		e.Error("CloseGrace made a token")
	}
	e.must(func(u store.Unit) { u.SpendRefresh("unspent", newUse("s")) })
	e.must(func(u store.Unit) { u.RepeatRefresh("unspent", moment(0), 20) })
}

// refreshKept looks at a spent token until its keeping time is over, which a
// use may put off and cannot bring forward.
func refreshKept(e *env) {
	for i, test := range []struct{ stored, used, want time.Duration }{
		{time.Hour, 2 * time.Hour, 2 * time.Hour},
		{4 * time.Hour, 3 * time.Hour, 4 * time.Hour},
	} {
		hash := name("h", i)
		r, use := newRefresh(hash), newUse("s")
		r.KeepUntil, use.KeepUntil = moment(test.stored), moment(test.used)
		e.must(func(u store.Unit) { u.PutRefresh(r) })
		e.must(func(u store.Unit) { u.SpendRefresh(hash, use) })
		end := moment(test.want)
		e.sweep("one nanosecond early", end.Add(-1), 100, 0)
		if got, ok := e.refresh(hash); !ok || !got.KeepUntil.Equal(end) {
			e.Errorf("before its end: Refresh() = kept until %v, %v, want %v", got.KeepUntil, ok, end)
		}
		e.want("a reuse", broker.ErrSpent, func(u store.Unit) { u.SpendRefresh(hash, use) })
		e.sweep("at its end", end, 100, 1)
		if _, ok := e.refresh(hash); ok {
			e.Errorf("kept until %v: still there after the sweep", end)
		}
		e.sweep("again", end.Add(1000*time.Hour), 100, 0)
	}
}

// refreshGrantEnds ends a grant while its tokens are being spent.
func refreshGrantEnds(e *env) {
	e.must(func(u store.Unit) {
		u.PutGrant(newGrant("g", 1))
		u.PutRefresh(newRefresh("h"))
		for i := range 33 {
			u.PutRefresh(newRefresh(name("r", i)))
		}
	})
	won, spent, conflicts := e.race(33, func(i int, u store.Unit) {
		if i == 16 {
			u.EndGrant("g", moment(0), "consent_withdrawn")
			return
		}
		u.RequireGrant("g")
		u.SpendRefresh(name("r", i), newUse(fmt.Sprint(i)))
	})
	used := 1 // the end of the grant is a unit that won
	for i := range 33 {
		if r, _ := e.refresh(name("r", i)); !r.SpentAt.IsZero() {
			used++
		}
	}
	if used != won || spent != 0 || won+conflicts != 33 {
		e.Errorf("%d won, %d spent, %d conflicts, and %d tokens are used", won, spent, conflicts, used-1)
	}
	// The order of staging does not matter.
	e.want("ended", broker.ErrConflict, func(u store.Unit) {
		u.SpendRefresh("h", newUse("s"))
		u.RequireGrant("g")
	})
	if r, _ := e.refresh("h"); !reflect.DeepEqual(r, newRefresh("h")) {
		e.Errorf("grant ended: Refresh() = %+v, want it unspent", r)
	}
}
