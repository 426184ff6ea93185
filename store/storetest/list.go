package storetest

import (
	"context"
	"reflect"
	"time"

	"guestlist/store"
)

func (e *env) grantIDs(q store.GrantQuery) []string {
	e.Helper()
	list, err := e.s.Grants(context.Background(), q)
	list, _ = found(e, list, true, err)
	var ids []string
	for _, g := range list {
		ids = append(ids, g.ID)
	}
	return ids
}

// listed stores six grants, a to f, in no order of time: f is the newest. One
// ends, one expires, one lives on because it was touched.
func (e *env) listed() {
	e.Helper()
	for _, row := range []struct {
		id, subject, client string
		incarnation         uint64
		age                 time.Duration
	}{
		{"c", "alice", clientID, 1, 4 * time.Hour},
		{"f", "alice", clientID, 2, time.Hour},
		{"a", "alice", clientID, 1, 6 * time.Hour},
		{"e", "alicex", clientID, 1, 2 * time.Hour},
		{"d", "alice", clientID + "x", 1, 3 * time.Hour},
		{"b", "bob", clientID, 1, 5 * time.Hour},
	} {
		g := newGrant(row.id, row.incarnation)
		g.Subject, g.ClientID, g.CreatedAt = row.subject, row.client, moment(-row.age)
		if row.id == "c" || row.id == "d" {
			g.ExpiresAt = moment(time.Hour)
		}
		e.must(func(u store.Unit) { u.PutGrant(g) })
	}
	e.must(func(u store.Unit) {
		u.EndGrant("b", moment(0), "consent_withdrawn")
		u.TouchGrant("d", moment(0), moment(2*time.Hour))
	})
}

func grantList(e *env) {
	if got := e.grantIDs(store.GrantQuery{}); got != nil {
		e.Errorf("new store: Grants() = %v, want none", got)
	}
	e.listed()
	for _, when := range []string{"at once", "after reopening"} {
		for _, test := range []struct {
			name string
			q    store.GrantQuery
			want []string
		}{
			{"all", store.GrantQuery{}, []string{"f", "e", "d", "c", "b", "a"}},
			{"subject", store.GrantQuery{Subject: "alice"}, []string{"f", "d", "c", "a"}},
			{"subject with no grant", store.GrantQuery{Subject: "alic"}, nil},
			{"client, any incarnation", store.GrantQuery{ClientID: clientID}, []string{"f", "e", "c", "b", "a"}},
			{"client with no grant", store.GrantQuery{ClientID: "alice"}, nil},
			{"subject and client", store.GrantQuery{Subject: "alice", ClientID: clientID}, []string{"f", "c", "a"}},
			{"live now", store.GrantQuery{Live: moment(0)}, []string{"f", "e", "d", "c", "a"}},
			{"live, one nanosecond before the end", store.GrantQuery{Live: moment(time.Hour - 1)}, []string{"f", "e", "d", "c", "a"}},
			{"live, at the end of one", store.GrantQuery{Live: moment(time.Hour)}, []string{"f", "e", "d", "a"}},
			{"live, of one subject", store.GrantQuery{Subject: "alice", Live: moment(2 * time.Hour)}, []string{"f", "a"}},
			{"limit", store.GrantQuery{Limit: 2}, []string{"f", "e"}},
			{"limit counts what fits", store.GrantQuery{ClientID: clientID, Subject: "bob", Limit: 1}, []string{"b"}},
			{"limit, live", store.GrantQuery{Live: moment(time.Hour), Limit: 4}, []string{"f", "e", "d", "a"}},
		} {
			if got := e.grantIDs(test.q); !reflect.DeepEqual(got, test.want) {
				e.Errorf("%s, %s: Grants(%+v) = %v, want %v", when, test.name, test.q, got, test.want)
			}
		}
		e.reopen()
	}
	got, err := e.s.Grants(context.Background(), store.GrantQuery{Subject: "bob"})
	if want, _ := e.grant("b"); err != nil || !reflect.DeepEqual(got, []store.Grant{want}) {
		e.Errorf("Grants() = %+v, %v, want %+v", got, err, want)
	}
	e.sweep("all", moment(1000*24*time.Hour), 100, 6)
	if got := e.grantIDs(store.GrantQuery{}); got != nil {
		e.Errorf("after the sweep: Grants() = %v, want none", got)
	}
}

// grantListLong has more grants than a store should look at in one view.
func grantListLong(e *env) {
	const n = 1700
	e.must(func(u store.Unit) {
		for i := range n {
			g := newGrant(name("g", i), 1)
			g.CreatedAt = moment(time.Duration(i) * time.Second)
			if i == 1 || i == n-2 {
				g.ExpiresAt = moment(1000 * 24 * time.Hour)
			}
			u.PutGrant(g)
		}
	})
	rare := store.GrantQuery{Subject: "alice", Live: moment(999 * 24 * time.Hour)}
	if got, want := e.grantIDs(rare), []string{name("g", n-2), name("g", 1)}; !reflect.DeepEqual(got, want) {
		e.Errorf("Grants(%+v) = %v, want %v", rare, got, want)
	}
	for limit, want := range map[int]int{0: 1000, 1200: 1200, 5000: n} {
		ids := e.grantIDs(store.GrantQuery{Limit: limit})
		for i, id := range ids {
			if id != name("g", n-1-i) {
				e.Fatalf("limit %d: grant %d is %s, want %s", limit, i, id, name("g", n-1-i))
			}
		}
		if len(ids) != want {
			e.Errorf("limit %d: %d grants, want %d", limit, len(ids), want)
		}
	}
}
