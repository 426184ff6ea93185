package storetest

import (
	"context"
	"errors"
	"slices"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

func unseen(e *env) {
	u := e.s.Begin()
	if !u.Empty() {
		e.Error("a new unit is not empty")
	}
	u.RequireEpoch(0)
	u.RequireClient(clientID, 1)
	u.RequireGrant("g")
	if !u.Empty() {
		e.Error("preconditions make a unit not empty")
	}
	u.CreateClient(newClient(clientID, 1))
	u.PutGrant(newGrant("g", 1))
	u.PutCode(newCode("h"))
	u.PutRefresh(newRefresh("r"))
	u.PutAccess(newAccess("k"))
	u.Spend(store.SpendTicket, "t", moment(0))
	if u.Empty() {
		e.Error("a unit with writes is empty")
	}
	ctx := context.Background()
	_, client, err1 := u.Client(ctx, clientID)
	_, grant, err2 := u.Grant(ctx, "g")
	_, code, err3 := u.Code(ctx, "h")
	spent, err4 := u.Spent(ctx, store.SpendTicket, "t")
	_, refresh, err5 := u.Refresh(ctx, "r")
	_, access, err6 := u.Access(ctx, "k")
	seen := []bool{client, grant, code, spent, refresh, access}
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil || slices.Contains(seen, true) {
		e.Errorf("reads see staged writes: client, grant, code, spent, refresh, access = %v, %v", seen, err)
	}
	c := newClient(clientID, 1)
	v := e.s.Begin()
	v.CreateClient(c)
	c.Published[0], c.Policy[0] = '!', "!"
	if err := e.s.Commit(ctx, v); err != nil {
		e.Fatal(err)
	}
	if got, _ := e.client(clientID); got.Published[0] == '!' || got.Policy[0] == "!" {
		e.Error("a row changed after it was staged")
	}
}

func nothingLeft(e *env) {
	e.must(func(u store.Unit) {
		u.Spend(store.SpendTicket, "spent", moment(0))
		u.PutGrant(newGrant("live", 1))
		u.CreateClient(newClient(clientID, 1))
		u.PutRefresh(newRefresh("unspent"))
		u.PutRefresh(newRefresh("graced"))
		u.PutAccess(newAccess("kept"))
	})
	e.must(func(u store.Unit) { u.SpendRefresh("graced", newUse("s")) })
	before := e.epoch()
	stage := func(u store.Unit) {
		u.CreateClient(newClient("https://other.example/c", 1))
		u.PutGrant(newGrant("g", 1))
		u.PutCode(newCode("h"))
		u.Spend(store.SpendTicket, "t", moment(0))
		u.PutSession(store.Session{Hash: "s", ExpiresAt: moment(0)})
		u.EndGrant("live", moment(0), "gone")
		u.PutRefresh(newRefresh("r"))
		u.SpendRefresh("unspent", newUse("r"))
		u.RepeatRefresh("graced", moment(0), 20)
		u.CloseGrace("graced")
		u.PutAccess(newAccess("k"))
		u.EndAccess("kept", moment(0))
		u.ExtendClient(clientID, 1, moment(1000*time.Hour))
		u.PutCursor("file", 3)
		u.Activate(broker.Activation{Revision: "r"}, broker.Bundle{})
		u.Append(newRecord("d"))
	}
	for what, lose := range map[string]func(store.Unit){
		"spend":         func(u store.Unit) { u.Spend(store.SpendTicket, "spent", moment(0)) },
		"code":          func(u store.Unit) { u.SpendCode("unknown", moment(0)) },
		"epoch":         func(u store.Unit) { u.RequireEpoch(before + 7) },
		"life":          func(u store.Unit) { u.RequireClient(clientID, 9) },
		"grant":         func(u store.Unit) { u.RequireGrant("unknown") },
		"refresh token": func(u store.Unit) { u.SpendRefresh("unknown", newUse("s")) },
		"repeat":        func(u store.Unit) { u.RepeatRefresh("graced", moment(time.Hour), 20) },
		"access token":  func(u store.Unit) { u.PutAccess(newAccess("kept")) },
		// Lost only when the unit's other writes were made.
		"second spend of one unit": func(u store.Unit) { u.SpendRefresh("unspent", newUse("s")) },
	} {
		if err := e.commit(func(u store.Unit) { stage(u); lose(u) }); err == nil {
			e.Errorf("%s: Commit() = nil, want an error", what)
		}
		e.unchanged(what, before)
		e.tokensUnchanged(what)
	}
}

// tokensUnchanged looks for traces of a unit that failed in tokens and lists.
func (e *env) tokensUnchanged(what string) {
	e.Helper()
	_, refresh := e.refresh("r")
	_, access := e.access("k")
	unspent, _ := e.refresh("unspent")
	graced, _ := e.refresh("graced")
	kept, _ := e.access("kept")
	traces := []bool{
		refresh, access, !unspent.SpentAt.IsZero(), graced.Repeats != 0, graced.Answer == nil, !kept.EndedAt.IsZero(),
		len(e.grantIDs(store.GrantQuery{})) != 1,
	}
	if slices.Contains(traces, true) {
		e.Errorf("%s: traces of a failed unit: %v", what, traces)
	}
}

// unchanged looks for traces of a unit that failed.
func (e *env) unchanged(what string, epoch uint64) {
	e.Helper()
	_, other := e.client("https://other.example/c")
	_, grant := e.grant("g")
	_, code := e.code("h")
	_, session, err := e.s.Begin().Session(context.Background(), "s")
	cursor, err2 := e.s.Begin().Cursor(context.Background(), "file")
	live, _ := e.grant("live")
	c, _ := e.client(clientID)
	traces := []bool{
		other, grant, code, session, e.spent("t"), cursor != 0, !live.EndedAt.IsZero(),
		!c.ExpiresAt.Equal(newClient(clientID, 1).ExpiresAt), e.epoch() != epoch, len(e.records(store.RecordQuery{})) != 0,
	}
	if err != nil || err2 != nil || slices.Contains(traces, true) {
		e.Errorf("%s: traces of a failed unit: %v, %v, %v", what, traces, err, err2)
	}
}

func errorCommits(e *env) {
	e.must(func(u store.Unit) {
		u.PutGrant(newGrant("g", 1))
		u.PutCode(newCode("h"))
	})
	e.must(func(u store.Unit) { u.SpendCode("h", moment(0)) })
	answer := func() error {
		if c, _ := e.code("h"); c.SpentAt.IsZero() {
			return nil
		}
		e.must(func(u store.Unit) {
			u.EndGrant("g", moment(time.Second), broker.ReasonGrantSpent)
			u.Append(newRecord("replay"))
		})
		return broker.Refuse(broker.ReasonGrantSpent, "the code was used before")
	}
	if err := answer(); broker.ReasonOf(err) != broker.ReasonGrantSpent {
		e.Fatalf("answer() = %v", err)
	}
	e.reopen()
	if g, _ := e.grant("g"); g.EndReason != broker.ReasonGrantSpent {
		e.Errorf("grant ended by %q, want %q", g.EndReason, broker.ReasonGrantSpent)
	}
	if n := len(e.records(store.RecordQuery{DecisionID: "replay"})); n != 1 {
		e.Errorf("%d records of the replay, want 1", n)
	}
}

func lostAnswer(e *env) {
	e.must(func(u store.Unit) { u.PutCode(newCode("h")) })
	redeem := func(u store.Unit) {
		u.SpendCode("h", moment(time.Second))
		u.PutGrant(newGrant("g", 1))
		u.Append(newRecord("d"))
	}
	e.must(redeem)
	e.reopen() // the answer never left
	e.want("the client asks again", broker.ErrSpent, redeem)
	if c, ok := e.code("h"); !ok || c.SpentAt.IsZero() {
		e.Errorf("Code() = spent at %v, %v, want it spent", c.SpentAt, ok)
	}
	if _, ok := e.grant("g"); !ok {
		e.Error("the grant is gone")
	}
	if list := e.records(store.RecordQuery{}); len(list) != 1 || list[0].Seq != 1 {
		e.Errorf("%d records, want exactly one", len(list))
	}
}

func unitRules(e *env) {
	ctx := context.Background()
	u := e.s.Begin()
	u.Append(newRecord("once"))
	if err := e.s.Commit(ctx, u); err != nil {
		e.Fatal(err)
	}
	if err := e.s.Commit(ctx, u); !errors.Is(err, store.ErrUnavailable) {
		e.Errorf("committed twice: Commit() = %v, want ErrUnavailable", err)
	}
	other := e.open(e.T, e.TempDir())
	defer other.Close()
	if err := e.s.Commit(ctx, other.Begin()); !errors.Is(err, store.ErrUnavailable) {
		e.Errorf("unit of another store: Commit() = %v, want ErrUnavailable", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	w := e.s.Begin()
	w.Append(newRecord("withdrawn"))
	err := e.s.Commit(canceled, w)
	if n := len(e.records(store.RecordQuery{DecisionID: "withdrawn"})); n != map[bool]int{true: 1, false: 0}[err == nil] {
		e.Errorf("canceled before: Commit() = %v with %d records", err, n)
	}
	if err != nil && !(errors.Is(err, store.ErrUnavailable) && errors.Is(err, context.Canceled)) {
		e.Errorf("canceled before: Commit() = %v, want ErrUnavailable and context.Canceled", err)
	}
	if err := e.s.Commit(ctx, e.s.Begin()); err != nil {
		e.Errorf("empty unit: Commit() = %v, want nil", err)
	}
	bad := newGrant("bad", 1)
	bad.Settings = []byte("{")
	e.want("row that is not JSON", store.ErrUnavailable, func(u store.Unit) { u.PutGrant(bad) })
	r := newRecord("bad")
	r.Input = []byte("{")
	e.want("record that is not JSON", store.ErrUnavailable, func(u store.Unit) {
		u.PutGrant(newGrant("half", 1))
		u.Append(r)
	})
	if _, ok := e.grant("half"); ok {
		e.Error("a unit whose record cannot be sealed left a grant")
	}
}

func closed(e *env) {
	u := e.s.Begin()
	u.Append(newRecord("d"))
	if err := e.s.Close(); err != nil {
		e.Fatalf("Close() = %v", err)
	}
	if err := e.s.Close(); err != nil {
		e.Errorf("second Close() = %v, want nil", err)
	}
	ctx := context.Background()
	_, _, readErr := u.Client(ctx, clientID)
	_, listErr := e.s.Records(ctx, store.RecordQuery{})
	_, sweepErr := e.s.Sweep(ctx, moment(0), 1)
	for what, err := range map[string]error{
		"Commit": e.s.Commit(ctx, u), "Client": readErr, "Records": listErr, "Sweep": sweepErr, "Probe": e.s.Probe(ctx),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			e.Errorf("closed: %s() = %v, want ErrUnavailable", what, err)
		}
	}
}

func probe(e *env) {
	if err := e.s.Probe(context.Background()); err != nil {
		e.Errorf("Probe() = %v, want nil", err)
	}
	e.want("lost", broker.ErrSpent, func(u store.Unit) { u.SpendCode("x", moment(0)) })
	if err := e.s.Healthy(); err != nil {
		e.Errorf("after a lost precondition: Healthy() = %v, want nil", err)
	}
	if n := len(e.records(store.RecordQuery{})); n != 0 {
		e.Errorf("%d records after a probe, want 0", n)
	}
}
