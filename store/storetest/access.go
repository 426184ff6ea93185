package storetest

import (
	"context"
	"reflect"
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
