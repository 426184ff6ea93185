package storetest

import (
	"context"
	"reflect"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

func clientRows(e *env) {
	if _, ok := e.client(clientID); ok {
		e.Fatal("Client() finds a row in a new store")
	}
	c := newClient(clientID, 7)
	e.must(func(u store.Unit) { u.CreateClient(c) })
	if got, ok := e.client(clientID); !ok || !reflect.DeepEqual(got, c) {
		e.Fatalf("Client() = %+v, %v, want %+v", got, ok, c)
	}
	e.want("second row", broker.ErrConflict, func(u store.Unit) { u.CreateClient(newClient(clientID, 8)) })

	c.Revision, c.ExpiresAt = "r2", moment(-time.Hour)
	e.must(func(u store.Unit) { u.UpdateClient(c) })
	e.reopen()
	// Expired or not is the caller's question: the store has no clock.
	if got, ok := e.client(clientID); !ok || !reflect.DeepEqual(got, c) || !got.Expired(moment(0)) {
		e.Fatalf("after update and reopen: Client() = %+v, %v, want %+v", got, ok, c)
	}
	older := c
	older.FetchedAt = moment(-time.Nanosecond)
	e.want("update by a document fetched earlier", broker.ErrConflict, func(u store.Unit) { u.UpdateClient(older) })
	e.want("update of no row", broker.ErrConflict, func(u store.Unit) { u.UpdateClient(newClient("https://other.example/c", 1)) })
	e.want("end of no row", broker.ErrConflict, func(u store.Unit) { u.EndClient("https://other.example/c", 1, moment(0), "gone") })
	e.want("requirement of no row", broker.ErrConflict, func(u store.Unit) { u.RequireClient("https://other.example/c", 1) })
	e.must(func(u store.Unit) { u.RequireClient(clientID, 7) })
	e.must(func(u store.Unit) { u.EndClient(clientID, 7, moment(0), "policy_denied") })
	if _, ok := e.client(clientID); ok {
		e.Fatal("Client() finds a row after EndClient")
	}
}

func clientNames(e *env) {
	ids := []string{
		"https://a.example/x:y/%2F?q=%00&r=/../", "https://a.example/" + strings.Repeat("p", 1983),
		"https://a.example/é\u2028\u202e\n\t\"'<&>", "a", "a/", "a/b", "../../etc", "%", ":", "\x7f",
	}
	for i, id := range ids {
		e.must(func(u store.Unit) {
			u.CreateClient(newClient(id, uint64(i)))
			g := newGrant(id, uint64(i))
			g.ClientID = id
			u.PutGrant(g)
			u.Spend(store.SpendTicket, id, moment(0))
			u.PutCursor(id, uint64(i))
			r := newRecord(id)
			r.ClientID, r.GrantID, r.RequestID = id, id, id
			u.Append(r)
		})
	}
	for i, id := range ids {
		c, ok := e.client(id)
		_, granted := e.grant(id)
		if !ok || !granted || !e.spent(id) || c.Incarnation != uint64(i) {
			e.Errorf("rows of %.40q: incarnation %d, %v, %v, want %d, true, true", id, c.Incarnation, ok, granted, i)
		}
		for member, q := range map[string]store.RecordQuery{"client": {ClientID: id}, "grant": {GrantID: id}, "request": {RequestID: id}} {
			if list := e.records(q); len(list) != 1 || list[0].Seq != uint64(i+1) {
				e.Errorf("records by %s %.40q: %d, want the one with number %d", member, id, len(list), i+1)
			}
		}
	}
	e.must(func(u store.Unit) { u.EndClient("a", 3, moment(0), "gone") })
	for id, live := range map[string]bool{"a": false, "a/": true, "a/b": true} {
		if g, _ := e.grant(id); g.EndedAt.IsZero() != live {
			e.Errorf("grant of client %q lives: %v, want %v", id, !live, live)
		}
	}
}

func clientList(e *env) {
	for _, i := range []int{3, 1, 4, 0, 2} {
		e.must(func(u store.Unit) { u.CreateClient(newClient(name("https://app.example/", i), uint64(i))) })
	}
	for _, test := range []struct {
		name string
		q    store.ClientQuery
		want []uint64
	}{
		{"all", store.ClientQuery{}, []uint64{0, 1, 2, 3, 4}},
		{"two", store.ClientQuery{Limit: 2}, []uint64{0, 1}},
		{"behind a row", store.ClientQuery{After: name("https://app.example/", 1), Limit: 2}, []uint64{2, 3}},
		{"behind no row", store.ClientQuery{After: "https://app.example/0015"}, []uint64{2, 3, 4}},
		{"behind all", store.ClientQuery{After: "https://b"}, nil},
	} {
		list, err := e.s.Clients(context.Background(), test.q)
		var got []uint64
		for _, c := range list {
			got = append(got, c.Incarnation)
		}
		if err != nil || !reflect.DeepEqual(got, test.want) {
			e.Errorf("%s: Clients(%+v) = %v, %v, want %v", test.name, test.q, got, err, test.want)
		}
	}
}

func clientRace(e *env) {
	won, spent, conflicts := e.race(50, func(i int, u store.Unit) {
		u.CreateClient(newClient(clientID, uint64(i+1)))
		u.Append(newRecord(name("d", i)))
	})
	if won != 1 || spent != 0 || conflicts != 49 {
		e.Errorf("50 creators: %d won, %d spent, %d conflicts, want 1, 0, 49", won, spent, conflicts)
	}
	list, err := e.s.Clients(context.Background(), store.ClientQuery{})
	if err != nil || len(list) != 1 {
		e.Errorf("Clients() = %d rows, %v, want 1", len(list), err)
	}
	if n := len(e.records(store.RecordQuery{})); n != 1 {
		e.Errorf("%d records, want 1", n)
	}
}

func clientIncarnation(e *env) {
	e.must(func(u store.Unit) {
		u.CreateClient(newClient(clientID, 1))
		u.PutGrant(newGrant("old", 1))
	})
	e.must(func(u store.Unit) { u.EndClient(clientID, 1, moment(0), "client_blocked") })
	e.must(func(u store.Unit) {
		u.CreateClient(newClient(clientID, 2))
		u.PutGrant(newGrant("new", 2))
	})
	stale := newClient(clientID, 1)
	e.want("update", broker.ErrConflict, func(u store.Unit) { u.UpdateClient(stale) })
	e.want("end", broker.ErrConflict, func(u store.Unit) { u.EndClient(clientID, 1, moment(time.Hour), "gone") })
	e.want("requirement", broker.ErrConflict, func(u store.Unit) { u.RequireClient(clientID, 1) })
	e.must(func(u store.Unit) { u.ExtendClient(clientID, 1, moment(1000*time.Hour)) })
	if c, ok := e.client(clientID); !ok || !reflect.DeepEqual(c, newClient(clientID, 2)) {
		e.Errorf("Client() = %+v, %v, want the new row untouched", c, ok)
	}
	if g, _ := e.grant("old"); !g.EndedAt.Equal(moment(0)) || g.EndReason != "client_blocked" {
		e.Errorf("old grant ended at %v by %q, want %v by client_blocked", g.EndedAt, g.EndReason, moment(0))
	}
	if g, _ := e.grant("new"); !g.EndedAt.IsZero() {
		e.Errorf("new grant ended at %v, want it alive", g.EndedAt)
	}
}

func clientReplaced(e *env) {
	e.must(func(u store.Unit) {
		u.CreateClient(newClient(clientID, 1))
		u.PutGrant(newGrant("old", 1))
	})
	e.must(func(u store.Unit) {
		u.EndClient(clientID, 1, moment(0), "document_changed")
		u.CreateClient(newClient(clientID, 2))
		u.PutGrant(newGrant("new", 2))
	})
	// The order of staging does not matter.
	e.must(func(u store.Unit) {
		u.CreateClient(newClient(clientID, 3))
		u.EndClient(clientID, 2, moment(0), "document_changed")
	})
	if c, ok := e.client(clientID); !ok || c.Incarnation != 3 {
		e.Errorf("Client() = incarnation %d, %v, want 3", c.Incarnation, ok)
	}
	for _, id := range []string{"old", "new"} {
		if g, _ := e.grant(id); g.EndedAt.IsZero() {
			e.Errorf("grant %s lives, want it ended with its incarnation", id)
		}
	}
	e.want("end of another incarnation does not make room", broker.ErrConflict, func(u store.Unit) {
		u.EndClient(clientID, 2, moment(0), "gone")
		u.CreateClient(newClient(clientID, 4))
	})
	e.want("update after end", broker.ErrConflict, func(u store.Unit) {
		u.EndClient(clientID, 3, moment(0), "gone")
		u.UpdateClient(newClient(clientID, 3))
	})
	if c, ok := e.client(clientID); !ok || c.Incarnation != 3 {
		e.Errorf("after failed units: Client() = incarnation %d, %v, want 3", c.Incarnation, ok)
	}
}

func clientExtended(e *env) {
	e.must(func(u store.Unit) { u.CreateClient(newClient(clientID, 1)) })
	won, _, _ := e.race(40, func(i int, u store.Unit) {
		// 7 is prime to 40: all forty times, in no order.
		u.ExtendClient(clientID, 1, moment(24*time.Hour+time.Duration(i*7%40)*time.Minute))
	})
	want := newClient(clientID, 1)
	want.ExpiresAt = moment(24*time.Hour + 39*time.Minute)
	e.must(func(u store.Unit) { u.ExtendClient(clientID, 1, moment(time.Hour)) })
	if c, _ := e.client(clientID); won != 40 || !reflect.DeepEqual(c, want) {
		e.Errorf("after %d extensions: Client() = %+v, want 40 and %+v", won, c, want)
	}
	e.must(func(u store.Unit) { u.ExtendClient("https://other.example/c", 1, moment(0)) })
	if _, ok := e.client("https://other.example/c"); ok {
		e.Error("ExtendClient made a row")
	}
}

func clientUpdateExtended(e *env) {
	stored, later, latest := moment(24*time.Hour), moment(48*time.Hour), moment(72*time.Hour)
	extend := func(until time.Time) func(store.Unit) {
		return func(u store.Unit) { u.ExtendClient(clientID, 1, until) }
	}
	for _, test := range []struct {
		name      string
		read      bool
		given     time.Time
		meanwhile func(store.Unit)
		own       func(store.Unit) // staged before the update
		want      time.Time
	}{
		{"not moved, earlier", true, moment(time.Hour), nil, nil, moment(time.Hour)},
		{"not moved, later", true, later, nil, nil, later},
		{"extended, given what was read", true, stored, extend(later), nil, later},
		{"extended, given an earlier one", true, moment(time.Hour), extend(later), nil, later},
		{"extended, given a later one", true, latest, extend(later), nil, latest},
		{"extended by the same unit", true, stored, nil, extend(later), later},
		{"extended, never read", false, moment(time.Hour), extend(later), nil, moment(time.Hour)},
	} {
		e.must(func(u store.Unit) { u.CreateClient(newClient(clientID, 1)) })
		u := e.s.Begin()
		if test.read {
			if _, _, err := u.Client(context.Background(), clientID); err != nil {
				e.Fatal(err)
			}
		}
		if test.own != nil {
			test.own(u)
		}
		want := newClient(clientID, 1)
		want.Revision, want.ExpiresAt = "r2", test.given
		u.UpdateClient(want)
		if test.meanwhile != nil {
			e.must(test.meanwhile)
		}
		if err := e.s.Commit(context.Background(), u); err != nil {
			e.Fatalf("%s: Commit() = %v", test.name, err)
		}
		want.ExpiresAt = test.want
		if got, _ := e.client(clientID); !reflect.DeepEqual(got, want) {
			e.Errorf("%s: Client() = %+v, want %+v", test.name, got, want)
		}
		e.must(func(u store.Unit) { u.EndClient(clientID, 1, moment(0), "gone") })
	}
}
