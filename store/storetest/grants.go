package storetest

import (
	"context"
	"reflect"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

func codeRace(e *env) {
	e.must(func(u store.Unit) { u.PutCode(newCode("h")) })
	won, spent, _ := e.race(50, func(i int, u store.Unit) {
		u.SpendCode("h", moment(time.Duration(i)))
		u.PutGrant(newGrant(name("g", i), 1))
		u.Append(newRecord(name("d", i)))
	})
	if won != 1 || spent != 49 {
		e.Errorf("50 spenders: %d won, %d lost by ErrSpent, want 1, 49", won, spent)
	}
	records := e.records(store.RecordQuery{})
	if len(records) != 1 {
		e.Fatalf("%d records, want 1", len(records))
	}
	r, err := records[0].Record()
	if err != nil {
		e.Fatal(err)
	}
	for i := range 50 {
		if _, ok := e.grant(name("g", i)); ok != (r.DecisionID == name("d", i)) {
			e.Errorf("grant %d is there: %v, but %s won", i, ok, r.DecisionID)
		}
	}
}

func ticketRace(e *env) {
	won, spent, _ := e.race(50, func(i int, u store.Unit) {
		u.Spend(store.SpendTicket, "t", moment(0))
		u.PutCode(newCode(name("h", i)))
	})
	codes := 0
	for i := range 50 {
		if _, ok := e.code(name("h", i)); ok {
			codes++
		}
	}
	if won != 1 || spent != 49 || codes != 1 {
		e.Errorf("50 spenders: %d won, %d lost by ErrSpent, %d codes, want 1, 49, 1", won, spent, codes)
	}
	if !e.spent("t") || e.spent("T") || e.spent("other") {
		e.Error("Spent() does not say true for the spent ticket only")
	}
	e.must(func(u store.Unit) { u.Spend("other_kind", "t", moment(0)) })
}

func codes(e *env) {
	c := newCode("h")
	e.must(func(u store.Unit) { u.PutCode(c) })
	if got, ok := e.code("h"); !ok || !reflect.DeepEqual(got, c) {
		e.Errorf("Code() = %+v, %v, want %+v", got, ok, c)
	}
	e.must(func(u store.Unit) { u.SpendCode("h", moment(time.Second)) })
	c.SpentAt = moment(time.Second)
	e.reopen()
	if got, ok := e.code("h"); !ok || !reflect.DeepEqual(got, c) {
		e.Errorf("spent: Code() = %+v, %v, want %+v", got, ok, c)
	}
	e.want("again", broker.ErrSpent, func(u store.Unit) { u.SpendCode("h", moment(time.Minute)) })
	e.want("unknown", broker.ErrSpent, func(u store.Unit) { u.SpendCode("x", moment(0)) })
	e.want("stored and spent at once", broker.ErrSpent, func(u store.Unit) {
		u.PutCode(newCode("y"))
		u.SpendCode("y", moment(0))
	})
	e.want("stored twice", broker.ErrConflict, func(u store.Unit) { u.PutCode(newCode("h")) })
	if got, _ := e.code("h"); !got.SpentAt.Equal(moment(time.Second)) {
		e.Errorf("spent at %v, want the first time %v", got.SpentAt, moment(time.Second))
	}
}

func grants(e *env) {
	g := newGrant("g", 1)
	e.must(func(u store.Unit) { u.PutGrant(g) })
	if got, ok := e.grant("g"); !ok || !reflect.DeepEqual(got, g) {
		e.Errorf("Grant() = %+v, %v, want %+v", got, ok, g)
	}
	e.must(func(u store.Unit) { u.RequireGrant("g") })
	e.must(func(u store.Unit) { u.EndGrant("g", moment(time.Second), "grant_spent") })
	e.must(func(u store.Unit) { u.EndGrant("g", moment(0), "other") })
	e.must(func(u store.Unit) { u.EndGrant("absent", moment(0), "other") })
	g.EndedAt, g.EndReason = moment(time.Second), "grant_spent"
	e.reopen()
	if got, ok := e.grant("g"); !ok || !reflect.DeepEqual(got, g) {
		e.Errorf("ended: Grant() = %+v, %v, want %+v", got, ok, g)
	}
	if _, ok := e.grant("absent"); ok {
		e.Error("EndGrant made a grant")
	}
	e.want("ended", broker.ErrConflict, func(u store.Unit) { u.RequireGrant("g") })
	e.want("absent", broker.ErrConflict, func(u store.Unit) { u.RequireGrant("absent") })
	e.want("revived", broker.ErrConflict, func(u store.Unit) { u.PutGrant(newGrant("g", 1)) })
}

func grantsOfClient(e *env) {
	other := newGrant("other client", 1)
	other.ClientID = clientID + "x"
	e.must(func(u store.Unit) {
		u.CreateClient(newClient(clientID, 1))
		u.PutGrant(newGrant("a", 1))
		u.PutGrant(newGrant("b", 1))
		u.PutGrant(newGrant("other incarnation", 2))
		u.PutGrant(other)
	})
	e.must(func(u store.Unit) { u.EndGrant("a", moment(0), "consent_withdrawn") })
	e.must(func(u store.Unit) { u.EndClient(clientID, 1, moment(time.Hour), "policy_denied") })
	for id, reason := range map[string]broker.Reason{
		"a": "consent_withdrawn", "b": "policy_denied", "other incarnation": "", "other client": "",
	} {
		if g, _ := e.grant(id); g.EndReason != reason || g.EndedAt.IsZero() != (reason == "") {
			e.Errorf("grant %q ended at %v by %q, want by %q", id, g.EndedAt, g.EndReason, reason)
		}
	}
}

func grantTouched(e *env) {
	e.must(func(u store.Unit) { u.PutGrant(newGrant("g", 1)) })
	won, _, _ := e.race(40, func(i int, u store.Unit) {
		used, expires := time.Duration(i*7%40), time.Duration(i*11%40)
		u.TouchGrant("g", moment(used*time.Minute), moment(7*24*time.Hour+expires*time.Minute))
	})
	e.must(func(u store.Unit) { u.TouchGrant("g", moment(0), moment(0)) })
	want := newGrant("g", 1)
	want.LastUsedAt, want.ExpiresAt = moment(39*time.Minute), moment(7*24*time.Hour+39*time.Minute)
	if g, _ := e.grant("g"); won != 40 || !reflect.DeepEqual(g, want) {
		e.Errorf("after %d touches: Grant() = %+v, want 40 and %+v", won, g, want)
	}
	e.must(func(u store.Unit) { u.EndGrant("g", moment(time.Hour), "gone") })
	e.must(func(u store.Unit) { u.TouchGrant("g", moment(2*time.Hour), moment(1000*time.Hour)) })
	if g, _ := e.grant("g"); g.Live(moment(2 * time.Hour)) {
		e.Error("touching revived an ended grant")
	}
	e.must(func(u store.Unit) { u.TouchGrant("absent", moment(0), moment(0)) })
	if _, ok := e.grant("absent"); ok {
		e.Error("TouchGrant made a grant")
	}
}

// grantBound: the authentication method of a grant is settled once.
func grantBound(e *env) {
	open := newGrant("open", 1)
	open.AuthMethods = []string{"private_key_jwt", "none"}
	e.must(func(u store.Unit) { u.PutGrant(open); u.PutGrant(newGrant("settled", 1)) })
	for _, bad := range [][2]string{{"absent", "none"}, {"settled", "private_key_jwt"}, {"open", "tls_client_auth"}} {
		e.want("BindGrant "+bad[0]+" "+bad[1], broker.ErrConflict, func(u store.Unit) { u.BindGrant(bad[0], bad[1]) })
	}
	e.must(func(u store.Unit) {
		u.BindGrant("open", "private_key_jwt")
		u.TouchGrant("open", moment(time.Hour), moment(0))
	})
	e.must(func(u store.Unit) { u.BindGrant("open", "private_key_jwt"); u.BindGrant("settled", "none") })
	e.want("a second method", broker.ErrConflict, func(u store.Unit) { u.BindGrant("open", "none") })
	if g, _ := e.grant("open"); g.AuthMethod != "private_key_jwt" || g.AuthMethods != nil || !g.LastUsedAt.Equal(moment(time.Hour)) {
		e.Errorf("Grant() = %+v, want it bound to the key alone and touched", g)
	}
}

func sessions(e *env) {
	ctx := context.Background()
	s := store.Session{Hash: "s", Username: "alice", AuthTime: moment(0), AMR: []string{"pwd"}, ExpiresAt: moment(time.Hour)}
	e.must(func(u store.Unit) {
		u.PutSession(s)
		u.PutCursor("file", 5)
	})
	e.reopen()
	if got, ok, err := e.s.Begin().Session(ctx, "s"); err != nil || !ok || !reflect.DeepEqual(got, s) {
		e.Errorf("Session() = %+v, %v, %v, want %+v", got, ok, err, s)
	}
	e.must(func(u store.Unit) { u.EndSession("s") })
	e.must(func(u store.Unit) { u.EndSession("s") })
	if _, ok, err := e.s.Begin().Session(ctx, "s"); err != nil || ok {
		e.Errorf("ended: Session() = %v, %v, want absence", ok, err)
	}
	e.must(func(u store.Unit) { u.PutCursor("file", 9) })
	for exporter, want := range map[string]uint64{"file": 9, "other": 0} {
		if got, err := e.s.Begin().Cursor(ctx, exporter); err != nil || got != want {
			e.Errorf("Cursor(%q) = %d, %v, want %d", exporter, got, err, want)
		}
	}
}
