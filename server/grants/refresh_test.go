package grants_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/store"
)

const (
	ttl   = 7 * 24 * time.Hour
	idle  = 2 * 24 * time.Hour
	grace = 10 * time.Second
)

// refreshTerms are goodTerms with a refresh token.
func refreshTerms() grants.Terms {
	t := goodTerms()
	t.Scopes = []string{"mcp:read", "mcp:write"}
	t.Refresh = &grants.RefreshTerms{TTL: ttl, Idle: idle, Grace: grace}
	return t
}

func goodRefresh(token string) grants.RefreshRequest {
	return grants.RefreshRequest{
		RequestID: "req-3", Auth: grants.ClientAuth{ClientID: clientID, Method: "none"},
		Token: token, Source: "192.0.2.7",
	}
}

// desk does what package server does, over any store.
type desk struct {
	t      testing.TB
	engine *grants.Engine
	begin  func() store.Unit
	commit func(store.Unit) error
}

func (f *fixture) desk() desk {
	return desk{
		t: f.t, engine: f.engine,
		begin:  func() store.Unit { return f.memory.begin() },
		commit: func(u store.Unit) error { return f.memory.commit(u.(*unit)) },
	}
}

// start issues and redeems a code.
func (d desk) start(r grants.CodeRequest, t grants.Terms) grants.Token {
	d.t.Helper()
	u := d.begin()
	code, err := d.engine.IssueCode(d.t.Context(), u, r)
	if err := errors.Join(err, d.commit(u)); err != nil {
		d.t.Fatalf("IssueCode = %v", err)
	}
	u, x := d.begin(), goodExchange(code)
	p, err := d.engine.Check(d.t.Context(), u, x)
	if err != nil {
		d.t.Fatalf("Check = %v", err)
	}
	token, err := d.engine.Redeem(d.t.Context(), u, x, p, goodClient(), t)
	if err := errors.Join(err, d.commit(u)); err != nil {
		d.t.Fatalf("Redeem = %v", err)
	}
	return token
}

// refresh runs the step of a refresh until it neither lost a race nor met
// another state, four times at most.
func (d desk) refresh(x grants.RefreshRequest, t grants.Terms) (token grants.Token, err error) {
	for range 4 {
		token, err = d.once(x, t)
		if !errors.Is(err, broker.ErrSpent) && !errors.Is(err, broker.ErrConflict) {
			break
		}
	}
	return token, err
}

func (d desk) once(x grants.RefreshRequest, t grants.Terms) (grants.Token, error) {
	u := d.begin()
	h, err := d.engine.CheckRefresh(d.t.Context(), u, x)
	switch {
	case h.Reused:
		u.EndGrant(h.Grant.ID, start, broker.ReasonRefreshReused)
		return grants.Token{}, errors.Join(err, d.commit(u))
	case err != nil:
		return grants.Token{}, err
	case h.Repeat != nil:
		d.engine.Repeat(u, h)
		return *h.Repeat, d.commit(u)
	}
	token, err := d.engine.Rotate(d.t.Context(), u, x, h, goodClient(), t)
	if err != nil {
		return grants.Token{}, err
	}
	return token, d.commit(u)
}

// must is refresh that has to work.
func (d desk) must(token string, t grants.Terms) grants.Token {
	d.t.Helper()
	got, err := d.refresh(goodRefresh(token), t)
	if err != nil {
		d.t.Fatalf("refresh = %v", err)
	}
	return got
}

// checkRefresh runs CheckRefresh and fails the test if it staged anything
// beside an error.
func (f *fixture) checkRefresh(x grants.RefreshRequest) (grants.Held, error) {
	f.t.Helper()
	u := f.memory.begin()
	h, err := f.engine.CheckRefresh(f.t.Context(), u, x)
	if err != nil && !u.Empty() {
		f.t.Errorf("CheckRefresh staged %+v beside %v, want nothing", u, err)
	}
	return h, err
}

// live reports whether the grant of the fixture has not ended.
func (f *fixture) live() bool {
	_, all := f.memory.snapshot()
	return all["grant-1"].EndedAt.IsZero()
}

func TestRedeemStagesTokens(t *testing.T) {
	f := newFixture(t)
	r := goodCode()
	code := f.issue(r)
	f.clock.add(time.Second)
	u, token, err := f.redeem(goodExchange(code), goodClient(), refreshTerms())
	if err != nil {
		t.Fatalf("Redeem = %v", err)
	}
	now := start.Add(time.Second)
	wantRefresh := store.Refresh{
		Hash: hashHex(token.RefreshToken), GrantID: "grant-1", ClientID: clientID, IssuedAt: now,
		ExpiresAt: now.Add(idle), AbsoluteEnd: now.Add(ttl), KeepUntil: now.Add(ttl),
	}
	if len(u.refreshes) != 1 || !reflect.DeepEqual(u.refreshes[0], wantRefresh) {
		t.Errorf("refresh tokens = %+v, want %+v", u.refreshes, wantRefresh)
	}
	wantAccess := store.Access{
		Key: grants.AccessKey(token.ID), TokenID: token.ID, Format: "jwt", GrantID: "grant-1", ClientID: clientID,
		Incarnation: 7, Subject: "alice", Scopes: []string{"mcp:read", "mcp:write"}, Resources: []string{resource},
		IssuedAt: now.Truncate(time.Second), ExpiresAt: now.Truncate(time.Second).Add(5 * time.Minute),
	}
	if len(u.accesses) != 1 || !reflect.DeepEqual(u.accesses[0], wantAccess) {
		t.Errorf("access tokens = %+v, want %+v", u.accesses, wantAccess)
	}
	if !u.touched["grant-1"].Equal(now.Add(idle)) || !token.RefreshUntil.Equal(now.Add(idle)) {
		t.Errorf("grant touched until %v, token until %v, want the refresh token's end %v", u.touched["grant-1"], token.RefreshUntil, now.Add(idle))
	}
	if len(token.RefreshToken) != 43 {
		t.Errorf("refresh token has %d characters, want 43", len(token.RefreshToken))
	}
}

// A grant lives as long as its tokens, whichever ends last.
func TestRedeemTouchesUntilTheLastToken(t *testing.T) {
	f := newFixture(t)
	terms := refreshTerms()
	terms.Refresh.TTL = time.Minute
	u, token, err := f.redeem(goodExchange(f.issue(goodCode())), goodClient(), terms)
	if err != nil || !u.touched["grant-1"].Equal(token.ExpiresAt) {
		t.Errorf("Redeem = %v, grant touched until %v, want the access token's end %v", err, u.touched["grant-1"], token.ExpiresAt)
	}
}

func TestX6M21RotationStages(t *testing.T) {
	f := newFixture(t)
	first := f.desk().start(goodCode(), refreshTerms())
	f.clock.add(time.Hour)
	now := start.Add(time.Hour)
	for round, parent := range []string{"", hashHex(first.RefreshToken)} {
		x := goodRefresh(first.RefreshToken)
		u := f.memory.begin()
		h, err := f.engine.CheckRefresh(t.Context(), u, x)
		if err != nil || !u.Empty() {
			t.Fatalf("CheckRefresh = %v and staged %+v, want nothing", err, u)
		}
		token, err := f.engine.Rotate(t.Context(), u, x, h, goodClient(), refreshTerms())
		if err != nil {
			t.Fatalf("Rotate = %v", err)
		}
		use := u.uses[h.Refresh.Hash]
		if len(use.Answer) == 0 {
			t.Error("no answer is kept")
		}
		use.Answer = nil
		wantUse := store.RefreshUse{
			At: now, Successor: hashHex(token.RefreshToken), GraceUntil: now.Add(grace),
			KeepUntil: start.Add(ttl), Source: "192.0.2.7",
		}
		if !reflect.DeepEqual(use, wantUse) || len(u.uses) != 1 {
			t.Errorf("round %d: use = %+v, want %+v", round, use, wantUse)
		}
		wantRow := store.Refresh{
			Hash: wantUse.Successor, GrantID: "grant-1", ClientID: clientID, Parent: h.Refresh.Hash, IssuedAt: now,
			ExpiresAt: now.Add(idle), AbsoluteEnd: start.Add(ttl), KeepUntil: start.Add(ttl),
		}
		if len(u.refreshes) != 1 || !reflect.DeepEqual(u.refreshes[0], wantRow) {
			t.Errorf("round %d: successor = %+v, want %+v", round, u.refreshes, wantRow)
		}
		if len(u.accesses) != 1 || u.accesses[0].Key != grants.AccessKey(token.ID) || !slices.Equal(u.requires, []string{"grant-1"}) {
			t.Errorf("round %d: staged %+v, want an access token and the grant's life", round, u)
		}
		if !u.touched["grant-1"].Equal(now.Add(idle)) {
			t.Errorf("round %d: grant touched until %v, want %v", round, u.touched["grant-1"], now.Add(idle))
		}
		if parent == "" && len(u.closes) != 0 || parent != "" && !slices.Equal(u.closes, []string{parent}) {
			t.Errorf("round %d: closed %q, want %q", round, u.closes, parent)
		}
		if err := f.memory.commit(u); err != nil {
			t.Fatal(err)
		}
		first = token
	}
}

func TestTrap28RefreshTokenIsPolicysNotAScopes(t *testing.T) {
	f := newFixture(t)
	terms := refreshTerms()
	terms.Scopes = []string{"mcp:read"}
	token := f.desk().start(goodCode(), terms)
	if token.RefreshToken == "" {
		t.Fatal("no refresh token without offline_access")
	}
	if got := f.desk().must(token.RefreshToken, terms); got.Scope != "mcp:read" {
		t.Errorf("scope = %q, want mcp:read", got.Scope)
	}
}

func TestM22Q6NoRefreshTokenUnlessPolicySaysSo(t *testing.T) {
	f := newFixture(t)
	if token := f.desk().start(goodCode(), goodTerms()); token.RefreshToken != "" || !token.RefreshUntil.IsZero() {
		t.Errorf("Redeem = %+v, want no refresh token", token)
	}
	r := goodCode()
	r.Grant.ID = "grant-2"
	token := f.desk().start(r, refreshTerms())
	_, err := f.desk().refresh(goodRefresh(token.RefreshToken), goodTerms())
	wantReason(t, "refresh after policy took it back", err, broker.ReasonGrantTypeNotAllowed)
	f.desk().must(token.RefreshToken, refreshTerms())
}

// Each knob of PF-26, to the instant. Every row starts with a fresh family.
func TestPF26Ends(t *testing.T) {
	for _, tt := range []struct {
		name  string
		terms grants.RefreshTerms
		uses  []time.Duration // refreshes that work, each after the one before
		after time.Duration   // the last one, after those
		want  broker.Reason   // empty: works
	}{
		{"idle, before", grants.RefreshTerms{TTL: ttl, Idle: idle}, nil, idle - 1, ""},
		{"idle, at", grants.RefreshTerms{TTL: ttl, Idle: idle}, nil, idle, broker.ReasonRefreshExpired},
		{"idle rolls, before", grants.RefreshTerms{TTL: ttl, Idle: idle}, []time.Duration{idle - time.Second}, idle - 1, ""},
		{"idle rolls, at", grants.RefreshTerms{TTL: ttl, Idle: idle}, []time.Duration{idle - time.Second}, idle, broker.ReasonRefreshExpired},
		{"absolute, before", grants.RefreshTerms{TTL: time.Hour, Idle: idle}, nil, time.Hour - 1, ""},
		{"absolute, at", grants.RefreshTerms{TTL: time.Hour, Idle: idle}, nil, time.Hour, broker.ReasonRefreshExpired},
		{"absolute does not roll, before", grants.RefreshTerms{TTL: 3 * time.Hour, Idle: 2 * time.Hour}, []time.Duration{time.Hour, time.Hour}, time.Hour - 1, ""},
		{"absolute does not roll, at", grants.RefreshTerms{TTL: 3 * time.Hour, Idle: 2 * time.Hour}, []time.Duration{time.Hour, time.Hour}, time.Hour, broker.ReasonRefreshExpired},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			terms := refreshTerms()
			terms.Refresh = &tt.terms
			r := goodCode()
			r.Grant.ExpiresAt = start.Add(time.Minute) // until tokens extend it
			token := f.desk().start(r, terms)
			for _, after := range tt.uses {
				f.clock.add(after)
				token = f.desk().must(token.RefreshToken, terms)
			}
			f.clock.add(tt.after)
			next, err := f.desk().refresh(goodRefresh(token.RefreshToken), terms)
			if tt.want != "" {
				wantReason(t, "refresh", err, tt.want)
			} else if end := start.Add(tt.terms.TTL); err != nil || next.RefreshUntil.After(end) {
				t.Errorf("refresh = %+v, %v, want a token that ends by %v", next, err, end)
			}
		})
	}
}

func TestPF26Grace(t *testing.T) {
	for _, tt := range []struct {
		grace, after time.Duration
		reused       bool
	}{
		{grace, 0, false}, {grace, grace - 1, false}, {grace, grace, true}, {grace, time.Hour, true},
		{time.Minute, time.Minute - 1, false}, {time.Minute, time.Minute, true}, {0, 0, true},
	} {
		t.Run(fmt.Sprintf("grace %s, after %s", tt.grace, tt.after), func(t *testing.T) {
			f := newFixture(t)
			terms := refreshTerms()
			terms.Refresh.Grace = tt.grace
			first := f.desk().start(goodCode(), terms)
			second := f.desk().must(first.RefreshToken, terms)
			f.clock.add(tt.after)
			h, err := f.checkRefresh(goodRefresh(first.RefreshToken))
			if tt.reused {
				wantReason(t, "CheckRefresh", err, broker.ReasonRefreshReused)
				if !h.Reused || h.Repeat != nil {
					t.Errorf("CheckRefresh = %+v, want reused", h)
				}
				return
			}
			if err != nil || h.Reused || h.Repeat == nil || *h.Repeat != second {
				t.Errorf("CheckRefresh = %+v, %v, want the answer given before", h, err)
			}
		})
	}
}

func TestM21ReuseAfterGraceNamesBothSources(t *testing.T) {
	f := newFixture(t)
	first := f.desk().start(goodCode(), refreshTerms())
	second := f.desk().must(first.RefreshToken, refreshTerms())
	f.clock.add(grace)
	x := goodRefresh(first.RefreshToken)
	x.Source = "198.51.100.9"
	h, err := f.checkRefresh(x)
	wantReason(t, "CheckRefresh", err, broker.ReasonRefreshReused)
	if !h.Reused || h.Grant.ID != "grant-1" || h.Refresh.Source != "192.0.2.7" {
		t.Errorf("CheckRefresh = %+v, want reused, its grant and the first source", h)
	}
	_, err = f.desk().refresh(x, refreshTerms())
	wantReason(t, "refresh", err, broker.ReasonRefreshReused)
	_, err = f.desk().refresh(goodRefresh(second.RefreshToken), refreshTerms())
	wantReason(t, "refresh with the successor afterwards", err, broker.ReasonGrantEnded)
	_, err = f.desk().refresh(x, refreshTerms())
	wantReason(t, "reuse of an ended family", err, broker.ReasonGrantEnded)
}

func TestTrap31IssuedAtMovesOnRefresh(t *testing.T) {
	f := newFixture(t)
	r := goodCode()
	r.Grant.User.ACR = "urn:acr:2"
	first := f.desk().start(r, refreshTerms())
	f.clock.add(90 * time.Second)
	second := f.desk().must(first.RefreshToken, refreshTerms())
	want := decode(t, first.AccessToken, 1)
	for _, name := range []string{"iat", "exp"} {
		want[name] = want[name].(float64) + 90
	}
	got := decode(t, second.AccessToken, 1)
	if got["jti"] == want["jti"] || got["jti"] != second.ID {
		t.Errorf("jti = %v after %v, want the new %v", got["jti"], want["jti"], second.ID)
	}
	want["jti"] = second.ID
	if !reflect.DeepEqual(got, want) {
		t.Errorf("claims = %v, want %v", got, want)
	}
	if got["auth_time"] != float64(start.Add(-time.Minute).Unix()) {
		t.Errorf("auth_time = %v, want the sign-in's", got["auth_time"])
	}
}

func TestRefreshNarrowsScopesForOneToken(t *testing.T) {
	f := newFixture(t)
	d := f.desk()
	token := d.start(goodCode(), refreshTerms())
	for _, tt := range []struct {
		ask  []string
		want string
	}{
		{[]string{"mcp:write"}, "mcp:write"},
		{nil, "mcp:read mcp:write"},
		{[]string{"mcp:read", "offline_access"}, "mcp:read"}, // policy gives less than the grant
		{[]string{"mcp:read", "mcp:write"}, "mcp:read mcp:write"},
		{[]string{}, "mcp:read mcp:write"},
	} {
		x := goodRefresh(token.RefreshToken)
		x.Scopes = tt.ask
		got, err := d.refresh(x, refreshTerms())
		if err != nil {
			t.Fatalf("refresh for %q = %v", tt.ask, err)
		}
		if claim, _ := decode(t, got.AccessToken, 1)["scope"].(string); got.Scope != tt.want || claim != tt.want {
			t.Errorf("refresh for %q = scope %q, claim %q, want %q", tt.ask, got.Scope, claim, tt.want)
		}
		token = got
	}
	x := goodRefresh(token.RefreshToken)
	x.Scopes = []string{"offline_access"}
	_, err := d.refresh(x, refreshTerms())
	wantReason(t, "refresh for a scope that policy took back", err, broker.ReasonScopeNotAllowed)
	d.must(token.RefreshToken, refreshTerms())
	if _, all := f.memory.snapshot(); !slices.Equal(all["grant-1"].Scopes, goodGrant().Scopes) {
		t.Errorf("grant's scopes = %q, want them unchanged", all["grant-1"].Scopes)
	}
}

func TestTrapB16RefreshTwiceWithResource(t *testing.T) {
	f := newFixture(t)
	r, terms := goodCode(), refreshTerms()
	r.Grant.Resources = []string{resource, other}
	terms.Resources = []string{resource, other}
	token := f.desk().start(r, terms)
	for _, tt := range []struct {
		ask  []string
		want any
	}{
		{[]string{other}, other},
		{[]string{resource}, resource},
		{nil, []any{resource, other}},
		{[]string{other, resource}, []any{resource, other}},
	} {
		x := goodRefresh(token.RefreshToken)
		x.Resources = tt.ask
		got, err := f.desk().refresh(x, terms)
		if err != nil {
			t.Fatalf("refresh for %q = %v", tt.ask, err)
		}
		if aud := decode(t, got.AccessToken, 1)["aud"]; !reflect.DeepEqual(aud, tt.want) {
			t.Errorf("refresh for %q = aud %v, want %v", tt.ask, aud, tt.want)
		}
		token = got
	}
	for _, res := range []string{resource + "/", resource + "/x", "https://mcp.example"} {
		x := goodRefresh(token.RefreshToken)
		x.Resources = []string{res}
		_, err := f.checkRefresh(x)
		wantReason(t, "CheckRefresh for "+res, err, broker.ReasonResourceUnknown)
	}
}

// refreshEdits are one-thing-wrong requests in the order of CheckRefresh's
// list.
var refreshEdits = []struct {
	name string
	edit func(*fixture, *grants.RefreshRequest)
	want broker.Reason
}{
	{"unknown token", func(_ *fixture, x *grants.RefreshRequest) { x.Token = strings.Repeat("A", 43) }, broker.ReasonRefreshUnknown},
	{"other client", func(_ *fixture, x *grants.RefreshRequest) { x.Auth.ClientID = "https://other.example/m" }, broker.ReasonRefreshUnknown},
	{"other method", func(_ *fixture, x *grants.RefreshRequest) { x.Auth.Method = "private_key_jwt" }, broker.ReasonClientAuthFailed},
	{"ended grant", func(f *fixture, _ *grants.RefreshRequest) {
		u := f.memory.begin()
		u.EndGrant("grant-1", start, broker.ReasonGrantEnded)
		_ = f.memory.commit(u)
	}, broker.ReasonGrantEnded},
	{"expired", func(f *fixture, _ *grants.RefreshRequest) { f.clock.add(idle) }, broker.ReasonRefreshExpired},
	{"other scope", func(_ *fixture, x *grants.RefreshRequest) { x.Scopes = []string{"mcp:read", "mcp:admin"} }, broker.ReasonScopeNotAllowed},
	{"other resource", func(_ *fixture, x *grants.RefreshRequest) { x.Resources = []string{other} }, broker.ReasonResourceUnknown},
}

func TestCheckRefreshRefusesInOrder(t *testing.T) {
	for i, tt := range refreshEdits {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			x := goodRefresh(f.desk().start(goodCode(), refreshTerms()).RefreshToken)
			tt.edit(f, &x)
			h, err := f.checkRefresh(x)
			wantReason(t, "CheckRefresh", err, tt.want)
			if !reflect.DeepEqual(h, grants.Held{}) {
				t.Errorf("CheckRefresh = %+v beside %s, want zero", h, tt.want)
			}
			for _, later := range refreshEdits[i+1:] {
				later.edit(f, &x)
			}
			_, err = f.checkRefresh(x)
			wantReason(t, "CheckRefresh with the rest wrong too", err, tt.want)
		})
	}
}

func TestCheckRefreshOfAGrantThatIsOver(t *testing.T) {
	f := newFixture(t)
	r, terms := goodCode(), refreshTerms()
	x := goodRefresh(f.desk().start(r, terms).RefreshToken)
	f.memory.grants["grant-1"] = func(g store.Grant) store.Grant {
		g.ExpiresAt = start.Add(time.Hour)
		return g
	}(f.memory.grants["grant-1"])
	f.clock.add(time.Hour)
	_, err := f.checkRefresh(x)
	wantReason(t, "CheckRefresh", err, broker.ReasonGrantEnded)
	delete(f.memory.grants, "grant-1")
	_, err = f.checkRefresh(x)
	wantReason(t, "CheckRefresh without the grant", err, broker.ReasonGrantEnded)
}

func TestTrap42RefreshStoreErrorsAreNotTheClientsFault(t *testing.T) {
	f := newFixture(t)
	token := f.desk().start(goodCode(), refreshTerms())
	f.memory.reads = fmt.Errorf("disk: %w", store.ErrUnavailable)
	u := f.memory.begin()
	_, checked := f.checkRefresh(goodRefresh(token.RefreshToken))
	_, _, refresh := f.engine.FindRefresh(t.Context(), u, token.RefreshToken)
	_, _, access := f.engine.FindAccess(t.Context(), u, token.AccessToken)
	_, _, opaque := f.engine.FindAccess(t.Context(), u, token.RefreshToken)
	_, revoked := f.engine.RevokeToken(t.Context(), u, nil, goodRefresh("").Auth, token.AccessToken)
	for name, err := range map[string]error{
		"CheckRefresh": checked, "FindRefresh": refresh, "FindAccess": access, "FindAccess of an opaque token": opaque,
		"trap 37 RevokeToken": revoked,
	} {
		wantReason(t, name, err, broker.ReasonStoreUnavailable)
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s = %v, want it to wrap the store's error", name, err)
		}
	}
}
