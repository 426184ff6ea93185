package grants_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/store"
)

func TestX19RevokeToken(t *testing.T) {
	const refresh, access = "refresh_token", "access_token"
	thief := grants.ClientAuth{ClientID: "https://thief.example/m", Method: "none"}
	for _, tt := range []struct {
		name   string
		format string
		which  func(first, second grants.Token) string
		before func(f *fixture)
		auth   *grants.ClientAuth // nil: the owner
		kind   string
		over   bool
		want   broker.Reason
	}{
		{name: "refresh token", which: func(_, t grants.Token) string { return t.RefreshToken }, kind: refresh},
		{name: "spent refresh token", which: func(t, _ grants.Token) string { return t.RefreshToken }, kind: refresh},
		{name: "JWT", which: func(_, t grants.Token) string { return t.AccessToken }, kind: access},
		{name: "JWT of before the refresh", which: func(t, _ grants.Token) string { return t.AccessToken }, kind: access},
		{name: "opaque", format: "opaque", which: func(_, t grants.Token) string { return t.AccessToken }, kind: access},
		{name: "trap 33 JWT of an older key", which: func(_, t grants.Token) string { return t.AccessToken }, kind: access,
			before: func(f *fixture) { f.signer.rotate(f.t) }},

		{name: "unknown", which: func(_, _ grants.Token) string { return challenge }},
		{name: "nothing", which: func(_, _ grants.Token) string { return "" }},
		{name: "garbage", which: func(_, _ grants.Token) string { return "a.b.c" }},
		{name: "another client's refresh token", which: func(_, t grants.Token) string { return t.RefreshToken }, auth: &thief},
		{name: "another client's JWT", which: func(_, t grants.Token) string { return t.AccessToken }, auth: &thief},
		{name: "another client's opaque token", format: "opaque", which: func(_, t grants.Token) string { return t.AccessToken }, auth: &thief},
		{name: "grant was swept", which: func(_, t grants.Token) string { return t.RefreshToken },
			before: func(f *fixture) { delete(f.memory.grants, "grant-1") }},
		{name: "grant was swept, JWT", which: func(_, t grants.Token) string { return t.AccessToken },
			before: func(f *fixture) { delete(f.memory.grants, "grant-1") }},

		{name: "refresh token, other method", which: func(_, t grants.Token) string { return t.RefreshToken },
			auth: &grants.ClientAuth{ClientID: clientID, Method: "private_key_jwt"}, want: broker.ReasonClientAuthFailed},
		{name: "JWT, other method", which: func(_, t grants.Token) string { return t.AccessToken },
			auth: &grants.ClientAuth{ClientID: clientID, Method: "private_key_jwt"}, want: broker.ReasonClientAuthFailed},
		{name: "JWT, no method", which: func(_, t grants.Token) string { return t.AccessToken },
			auth: &grants.ClientAuth{ClientID: clientID}, want: broker.ReasonClientAuthFailed},

		{name: "refresh token of an ended grant", which: func(_, t grants.Token) string { return t.RefreshToken }, kind: refresh, over: true, before: endGrant},
		{name: "JWT of an ended grant", which: func(_, t grants.Token) string { return t.AccessToken }, kind: access, over: true, before: endGrant},
		{name: "expired JWT", which: func(_, t grants.Token) string { return t.AccessToken }, kind: access, over: true,
			before: func(f *fixture) { f.clock.add(5 * time.Minute) }},
		{name: "refresh token of an expired grant", which: func(_, t grants.Token) string { return t.RefreshToken }, kind: refresh, over: true,
			before: func(f *fixture) { f.clock.add(ttl) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			first := f.desk().start(goodCode(), like(tt.format, ""))
			second := f.desk().must(first.RefreshToken, like(tt.format, ""))
			if tt.before != nil {
				tt.before(f)
			}
			auth := goodRefresh("").Auth
			if tt.auth != nil {
				auth = *tt.auth
			}
			u := f.memory.begin()
			token := tt.which(first, second)
			got, err := f.engine.RevokeToken(t.Context(), u, nil, auth, token)
			if tt.want != "" {
				wantReason(t, "RevokeToken", err, tt.want)
			} else if err != nil {
				t.Errorf("RevokeToken = %v", err)
			}
			want := grants.Revoked{Kind: tt.kind, AlreadyEnded: tt.over}
			if tt.kind != "" {
				want.Grant = f.memory.grants["grant-1"]
			}
			if a, found := f.find(token); found && tt.kind != "" {
				want.TokenID = a.TokenID
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("RevokeToken = %+v, want %+v", got, want)
			}
			wantRevoked(t, f, u, tt.kind, tt.over, token)
		})
	}
}

// wantRevoked checks what a revocation staged.
func wantRevoked(t *testing.T, f *fixture, u *unit, kind string, over bool, token string) {
	t.Helper()
	if kind == "" || over {
		if !u.Empty() {
			t.Errorf("RevokeToken staged %+v, want nothing", u)
		}
		return
	}
	a, isAccess := f.find(token)
	if isAccess && (!slices.Equal(u.endAccess, []string{a.Key}) || len(u.ended) != 0) {
		t.Errorf("RevokeToken staged %+v, want the end of the token alone", u)
	}
	if !isAccess && (!slices.Equal(u.ended, []string{"grant-1"}) || len(u.endAccess) != 0 || u.reasons[0] != broker.ReasonTokenRevoked) {
		t.Errorf("RevokeToken staged %+v, want the end of the grant as token_revoked", u)
	}
	if err := f.memory.commit(u); err != nil {
		t.Fatal(err)
	}
	u = f.memory.begin()
	got, err := f.engine.RevokeToken(t.Context(), u, nil, goodRefresh("").Auth, token)
	if err != nil || got.Kind != kind || !got.AlreadyEnded || !u.Empty() {
		t.Errorf("RevokeToken again = %+v, %v, staged %+v, want already ended", got, err, u)
	}
}

func endGrant(f *fixture) {
	u := f.memory.begin()
	u.EndGrant("grant-1", start, broker.ReasonGrantEnded)
	if err := f.memory.commit(u); err != nil {
		f.t.Fatal(err)
	}
}

func TestX19RevocationReachesTheFamily(t *testing.T) {
	f := newFixture(t)
	first := f.desk().start(goodCode(), refreshTerms())
	second := f.desk().must(first.RefreshToken, refreshTerms())
	revoke := func(token string) {
		u := f.memory.begin()
		if _, err := f.engine.RevokeToken(t.Context(), u, nil, goodRefresh("").Auth, token); err != nil {
			t.Fatalf("RevokeToken = %v", err)
		}
		if err := f.memory.commit(u); err != nil {
			t.Fatal(err)
		}
	}
	revoke(second.AccessToken)
	third := f.desk().must(second.RefreshToken, refreshTerms())
	revoke(first.RefreshToken) // spent long ago, and still the family's
	for _, token := range []string{first.RefreshToken, second.RefreshToken, third.RefreshToken} {
		_, err := f.desk().refresh(goodRefresh(token), refreshTerms())
		wantReason(t, "refresh", err, broker.ReasonGrantEnded)
	}
}

// Nothing about the client is read: the row may be gone.
func TestX19RevokeNeedsNoClientRow(t *testing.T) {
	f := newFixture(t)
	token := f.desk().start(goodCode(), refreshTerms())
	// The fake panics on Unit.Client, as on all that it does not have.
	var u store.Unit = f.memory.begin()
	if got, err := f.engine.RevokeToken(t.Context(), u, nil, goodRefresh("").Auth, token.RefreshToken); err != nil || got.Kind == "" {
		t.Errorf("RevokeToken = %+v, %v, want the end of the grant", got, err)
	}
}
