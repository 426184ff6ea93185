package storetest

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

func newAccess(key string) store.Access {
	return store.Access{
		Key: key, TokenID: "jti-" + key, Format: "jwt", GrantID: "g", ClientID: clientID, Incarnation: 7, Subject: "alice",
		Scopes: []string{"mcp:read"}, Resources: []string{"https://mcp.example/"}, IssuedAt: moment(0), ExpiresAt: moment(5 * time.Minute),
	}
}

func (e *env) access(key string) (store.Access, bool) {
	e.Helper()
	a, ok, err := e.s.Begin().Access(context.Background(), key)
	return found(e, a, ok, err)
}

func accessRows(e *env) {
	want := newAccess("k")
	e.must(func(u store.Unit) { u.PutAccess(want) })
	if got, ok := e.access("k"); !ok || !reflect.DeepEqual(got, want) {
		e.Errorf("Access() = %+v, %v, want %+v", got, ok, want)
	}
	if _, ok := e.access("absent"); ok {
		e.Error("Access() finds a token that was never stored")
	}
	e.must(func(u store.Unit) { u.EndAccess("k", moment(time.Second)) })
	e.must(func(u store.Unit) { u.EndAccess("k", moment(time.Minute)) })
	e.must(func(u store.Unit) { u.EndAccess("absent", moment(0)) })
	if _, ok := e.access("absent"); ok {
		e.Error("EndAccess made a token")
	}
	e.want("revived", broker.ErrConflict, func(u store.Unit) { u.PutAccess(newAccess("k")) })
	e.want("stored twice at once", broker.ErrConflict, func(u store.Unit) {
		u.PutAccess(newAccess("x"))
		u.PutAccess(newAccess("x"))
	})
	want.EndedAt = moment(time.Second)
	e.reopen()
	if got, ok := e.access("k"); !ok || !reflect.DeepEqual(got, want) {
		e.Errorf("ended: Access() = %+v, %v, want it ended the first time: %+v", got, ok, want)
	}
	won, _, conflicts := e.race(16, func(i int, u store.Unit) { u.PutAccess(newAccess("race")) })
	if won != 1 || conflicts != 15 {
		e.Errorf("16 of one key: %d won, %d conflicts, want 1, 15", won, conflicts)
	}
}

func refreshOffline(e *env) {
	for i := range 1200 { // more than a store should look at in one view
		r := newRefresh(name("h", i))
		r.GrantID, r.ExpiresAt = name("g", i%3), moment(time.Duration(i%3)*time.Hour)
		r.KeepUntil = r.ExpiresAt
		e.must(func(u store.Unit) { u.PutRefresh(r) })
	}
	for i := range 400 {
		e.must(func(u store.Unit) {
			u.SpendRefresh(name("h", 3*i+2), store.RefreshUse{At: moment(0), Successor: "s", KeepUntil: moment(0)})
		})
	}
	for after, want := range map[time.Duration][]string{0: {"g001"}, -time.Nanosecond: {"g000", "g001"}, time.Hour: nil} {
		got, err := e.s.Offline(context.Background(), moment(after))
		if have := slices.Sorted(maps.Keys(got)); err != nil || !slices.Equal(have, want) {
			e.Errorf("Offline(%v later) = %v, %v, want %v", after, have, err, want)
		}
	}
}
