package storetest

import (
	"context"
	"errors"
	"reflect"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// prints names keys by the letters of s.
func prints(s string) []broker.KeyPrint {
	var out []broker.KeyPrint
	for _, r := range s {
		out = append(out, broker.KeyPrint{ID: string(r), Thumbprint: "print of " + string(r)})
	}
	return out
}

func clientKeys(e *env) {
	move := func(u store.Unit) {
		c := newClient(clientID, 1)
		c.Keys, c.PendingKeys, c.KeysChangedAt = prints("b"), prints("c"), moment(time.Hour)
		c.Revision, c.FetchedAt = "not stored", moment(-time.Hour)
		u.MoveKeys(c)
	}
	update := func(u store.Unit) {
		c := newClient(clientID, 1)
		c.Keys, c.FetchedAt = prints("z"), moment(time.Hour)
		u.UpdateClient(c)
	}
	refetch := func(u store.Unit) {
		c := newClient(clientID, 1)
		c.Keys, c.FetchedAt, c.Revision = prints("a"), moment(2*time.Hour), "r2"
		u.UpdateClient(c)
		u.ExtendClient(clientID, 1, moment(48*time.Hour))
	}
	for _, test := range []struct {
		name            string
		staged, between func(store.Unit)
		conflict        bool
		keys, pending   string
		revision        string
	}{
		{"alone", move, nil, false, "b", "c", "r1"},
		{"moved meanwhile", move, update, true, "z", "", "r1"},
		{"the row is busy, its keys stand", move, refetch, false, "b", "c", "r2"},
		{"an update does not undo a move", update, move, true, "b", "c", "r1"},
		{"an update beside a move of its own", func(u store.Unit) { update(u); move(u) }, nil, false, "b", "c", "r1"},
		{"ended by the same unit", func(u store.Unit) { u.EndClient(clientID, 1, moment(0), "gone"); move(u) }, nil, true, "a", "", "r1"},
	} {
		e.must(func(u store.Unit) {
			c := newClient(clientID, 1)
			c.Keys = prints("a")
			u.CreateClient(c)
		})
		u := e.s.Begin()
		if _, _, err := u.Client(context.Background(), clientID); err != nil {
			e.Fatal(err)
		}
		test.staged(u)
		if test.between != nil {
			e.must(test.between)
		}
		if err := e.s.Commit(context.Background(), u); errors.Is(err, broker.ErrConflict) != test.conflict || (err != nil) != test.conflict {
			e.Errorf("%s: Commit() = %v, want a conflict: %v", test.name, err, test.conflict)
		}
		e.reopen()
		got, _ := e.client(clientID)
		if !reflect.DeepEqual(got.Keys, prints(test.keys)) || !reflect.DeepEqual(got.PendingKeys, prints(test.pending)) || got.Revision != test.revision {
			e.Errorf("%s: keys %v, pending %v, revision %s; want %s, %s, %s", test.name, got.Keys, got.PendingKeys, got.Revision, test.keys, test.pending, test.revision)
		}
		if want := moment(time.Hour); (test.keys == "b") != got.KeysChangedAt.Equal(want) {
			e.Errorf("%s: keys changed at %v", test.name, got.KeysChangedAt)
		}
		e.must(func(u store.Unit) { u.EndClient(clientID, 1, moment(0), "gone") })
	}
	e.want("keys of no row", broker.ErrConflict, move)
	e.must(func(u store.Unit) { u.CreateClient(newClient(clientID, 2)) })
	e.want("keys of another incarnation", broker.ErrConflict, move)
}

// clientApproved: a document that was put in force, or that came to wait, after
// a unit read the row is not undone by what the unit fetched.
func clientApproved(e *env) {
	waits := newClient(clientID, 1)
	waits.Pending = &broker.Pending{Published: []byte("{}"), SHA256: "bb", SeenAt: moment(0), Changes: []string{"redirect_added"}}
	approved := newClient(clientID, 1)
	approved.DocumentSHA256 = "bb"
	for _, test := range []struct {
		name          string
		from, between broker.Client
	}{
		{"approved meanwhile", waits, approved},
		{"waits meanwhile", newClient(clientID, 1), waits},
	} {
		e.must(func(u store.Unit) { u.CreateClient(test.from) })
		u := e.s.Begin()
		c, _, err := u.Client(context.Background(), clientID)
		if err != nil {
			e.Fatal(err)
		}
		e.must(func(u store.Unit) { u.UpdateClient(test.between) })
		c.FetchedAt = moment(time.Hour)
		u.UpdateClient(c)
		if err := e.s.Commit(context.Background(), u); !errors.Is(err, broker.ErrConflict) {
			e.Errorf("%s: Commit() = %v, want a conflict", test.name, err)
		}
		if got, _ := e.client(clientID); got.DocumentSHA256 != test.between.DocumentSHA256 || !reflect.DeepEqual(got.Pending, test.between.Pending) {
			e.Errorf("%s: document %s, pending %+v", test.name, got.DocumentSHA256, got.Pending)
		}
		e.must(func(u store.Unit) { u.EndClient(clientID, 1, moment(0), "gone") })
	}
}

func clientKeysRace(e *env) {
	e.must(func(u store.Unit) { u.CreateClient(newClient(clientID, 1)) })
	units := make([]store.Unit, 20)
	for i := range units {
		units[i] = e.s.Begin()
		c, _, err := units[i].Client(context.Background(), clientID)
		if err != nil {
			e.Fatal(err)
		}
		c.Keys = prints(string(rune('a' + i)))
		units[i].MoveKeys(c)
	}
	won := 0
	for _, u := range units {
		if err := e.s.Commit(context.Background(), u); err == nil {
			won++
		} else if !errors.Is(err, broker.ErrConflict) {
			e.Errorf("Commit() = %v, want nil or ErrConflict", err)
		}
	}
	if c, _ := e.client(clientID); won != 1 || !reflect.DeepEqual(c.Keys, prints("a")) {
		e.Errorf("%d of 20 moved the keys, which are %v; want one, the first", won, c.Keys)
	}
}
