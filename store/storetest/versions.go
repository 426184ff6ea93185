package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// version is the nth document of a client, with bytes of its own.
func version(id string, at time.Duration, n int) broker.Version {
	return broker.Version{
		ClientID: id, SHA256: fmt.Sprint(n), Published: fmt.Appendf(nil, `{"n":%d}`, n),
		SeenAt: moment(at), From: "network", Changes: []string{"cosmetic"},
	}
}

// history expects the versions of a client, newest first, to be these.
func (e *env) history(when, id string, want ...broker.Version) {
	e.Helper()
	got, err := e.s.Versions(context.Background(), id)
	if err != nil {
		e.Fatalf("%s: Versions() = %v", when, err)
	}
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		e.Errorf("%s: Versions(%s) = %+v, want %+v", when, id, got, want)
	}
}

// versions is about the history of a document: newest first, bounded, and one
// client's only (G-08).
func versions(e *env) {
	put := func(v broker.Version) {
		e.Helper()
		e.must(func(u store.Unit) { u.PutVersion(v) })
	}
	const day = 24 * time.Hour
	one, two, other := version(clientID, 0, 1), version(clientID, day, 2), version(clientID+"2", 0, 1)
	put(one)
	put(two)
	put(other)
	e.reopen()
	e.history("two", clientID, two, one)
	e.history("another client with the same document", other.ClientID, other)

	put(version(clientID, 2*day, 2))
	e.history("the newest once more", clientID, two, one)
	back, twin := version(clientID, 2*day, 1), version(clientID, 2*day, 3)
	put(back)
	put(twin)
	e.history("one before once more, another in the same moment", clientID, twin, back, two, one)
	e.history("another client", other.ClientID, other)
}

// versionBounds is about how many versions there are of one client.
func versionBounds(e *env) {
	put := func(v broker.Version) { e.must(func(u store.Unit) { u.PutVersion(v) }) }
	// moment(0) is ten in the morning, UTC.
	last := 14*time.Hour - 123456789 - 1
	var want []broker.Version
	for n := range store.VersionsPerDay {
		v := version(clientID, time.Duration(n), n)
		want = slices.Insert(want, 0, v)
		put(v)
	}
	put(version(clientID, last, 100))
	e.history("one more on its day", clientID, want...)
	next := version(clientID, last+1, 101)
	put(next)
	want = slices.Insert(want, 0, next)
	e.history("on the next day", clientID, want...)
	for n := range 60 {
		v := version(clientID, time.Duration(n+2)*24*time.Hour, n+200)
		want = slices.Insert(want, 0, v)
		put(v)
	}
	e.history("many days", clientID, want[:store.VersionsPerClient]...)
}

// versionsKept is about the end of a history: some time after its client's.
func versionsKept(e *env) {
	const month = 30 * 24 * time.Hour
	one, two := version(clientID, 0, 1), version(clientID, month, 2)
	pinned, never := version("https://pinned.example/c", 0, 1), version("https://never.example/c", 0, 1)
	c := newClient(clientID, 1)
	c.Published = two.Published // the same bytes in two places
	e.must(func(u store.Unit) {
		u.CreateClient(c)
		u.PutPin(broker.Pin{ID: pinned.ClientID})
		u.PutVersion(one)
		u.PutVersion(pinned)
		u.PutVersion(never)
	})
	e.must(func(u store.Unit) { u.PutVersion(two) })
	e.sweep("early", moment(store.VersionsKept-1), 100, 0)
	e.sweep("a client that never was", moment(store.VersionsKept), 100, 1)
	e.history("never a client", never.ClientID)
	e.history("pinned", pinned.ClientID, pinned)
	e.sweep("long after the last version", moment(12*month), 100, 0)
	e.history("alive", clientID, two, one)

	end := moment(12 * month)
	e.must(func(u store.Unit) { u.EndClient(clientID, 1, end, "gone") })
	e.history("ended", clientID, two, one)
	c.Incarnation = 2
	e.must(func(u store.Unit) { u.CreateClient(c) })
	e.sweep("alive again", end.Add(store.VersionsKept), 100, 0)
	if got, ok := e.client(clientID); !ok || !reflect.DeepEqual(got, c) {
		e.Errorf("alive again: Client() = %+v, %v, want %+v", got, ok, c)
	}
	end = end.Add(store.VersionsKept).Add(store.VersionsKept)
	e.must(func(u store.Unit) { u.EndClient(clientID, 2, end, "gone") })
	e.must(func(u store.Unit) { u.DropPin(pinned.ClientID) })
	e.sweep("ended, early: the pin was dropped", end.Add(store.VersionsKept-1), 100, 1)
	e.history("no pin", pinned.ClientID)
	e.history("ended, early", clientID, two, one)
	e.sweep("ended", end.Add(store.VersionsKept), 100, 1)
	e.history("swept", clientID)
	e.must(func(u store.Unit) { u.PutVersion(two) })
	e.history("begun anew", clientID, two)
}
