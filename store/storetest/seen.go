package storetest

import (
	"context"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// sighted checks since when a name is known; zero: it is not.
func (e *env) sighted(what, name string, want time.Time) {
	e.Helper()
	got, err := e.s.Begin().FirstSeen(context.Background(), name)
	if err != nil || !got.Equal(want.Truncate(time.Second)) || got.IsZero() != want.IsZero() || got.Location() != time.UTC {
		e.Errorf("%s: FirstSeen(%q) = %v, %v, want %v", what, name, got, err, want.Truncate(time.Second))
	}
}

// firstSeen is about hosts and clients that came before.
func firstSeen(e *env) {
	const host, other = "app.example", "https://app.example:8443/other"
	var never time.Time
	create := func(id string, incarnation uint64, at time.Time) {
		c := newClient(id, incarnation)
		c.CreatedAt = at
		e.must(func(u store.Unit) { u.CreateClient(c) })
	}
	id := "https://" + host + "/c"
	e.sighted("new store", host, never)
	create(id, 1, moment(time.Hour))
	e.sighted("first client", host, moment(time.Hour))
	e.sighted("another host", "b."+host, never)
	e.sighted("a client that has a row", id, never)
	create(other, 2, moment(2*time.Hour))
	e.reopen()
	e.sighted("second client", host, moment(time.Hour))
	create("opaque", 3, moment(0))
	e.must(func(u store.Unit) { u.EndClient("opaque", 3, moment(time.Hour), "gone") })
	e.sighted("a client_id that is no URL", "opaque", never)

	end := moment(48 * time.Hour)
	e.must(func(u store.Unit) { u.EndClient(id, 1, end, "gone") })
	e.sighted("client that ended", id, moment(time.Hour))
	c := newClient(id, 4)
	c.CreatedAt, c.FirstSeen = end, moment(time.Hour)
	e.must(func(u store.Unit) { u.CreateClient(c) })
	e.sweep("the host lives, the client too", end.Add(store.SeenKept), 100, 1)
	e.sighted("alive", host, moment(time.Hour))
	e.sighted("its row tells", id, never)

	end = end.Add(store.SeenKept + time.Hour)
	e.must(func(u store.Unit) {
		u.EndClient(id, 4, end, "gone")
		u.EndClient(other, 2, end, "gone")
	})
	e.sighted("since its earlier life", id, moment(time.Hour))
	e.sweep("kept", end.Add(store.SeenKept-time.Second), 100, 0)
	e.sighted("without clients", host, moment(time.Hour))
	e.sweep("forgotten", end.Add(store.SeenKept), 100, 3)
	e.sighted("forgotten", host, never)
	e.sighted("forgotten", id, never)
	create(id, 5, end)
	e.sighted("begun anew", host, end)
}

// firstSeenLost is about a unit that loses a precondition.
func firstSeenLost(e *env) {
	e.want("epoch", broker.ErrConflict, func(u store.Unit) {
		u.RequireEpoch(99)
		u.CreateClient(newClient("https://app.example/c", 1))
	})
	e.sighted("nothing was created", "app.example", time.Time{})
}
