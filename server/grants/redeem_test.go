package grants_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
)

func challengeOf(v string) string {
	sum := sha256.Sum256([]byte(v))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// redeem checks and redeems without a commit.
func (f *fixture) redeem(x grants.Exchange, c broker.Client, t grants.Terms) (*unit, grants.Token, error) {
	f.t.Helper()
	u := f.memory.begin()
	p, err := f.engine.Check(f.t.Context(), u, x)
	if err != nil {
		f.t.Fatalf("Check = %v", err)
	}
	token, err := f.engine.Redeem(f.t.Context(), u, x, p, c, t)
	if err != nil && (!u.Empty() || token != grants.Token{}) {
		f.t.Errorf("Redeem = %+v and staged %+v beside %v, want nothing", token, u, err)
	}
	return u, token, err
}

func TestRedeemStages(t *testing.T) {
	f := newFixture(t)
	code := f.issue(goodCode())
	f.clock.add(time.Second)
	u, token, err := f.redeem(goodExchange(code), goodClient(), goodTerms())
	if err != nil {
		t.Fatalf("Redeem = %v", err)
	}
	codes, _ := f.memory.snapshot()
	for hash := range codes {
		if at := u.spends[hash]; len(u.spends) != 1 || !at.Equal(start.Add(time.Second)) {
			t.Errorf("staged spends = %v, want %s at the exchange", u.spends, hash)
		}
	}
	if !reflect.DeepEqual(u.requires, []string{"grant-1"}) {
		t.Errorf("required grants = %v, want grant-1", u.requires)
	}
	end := start.Add(5*time.Minute + time.Second).Truncate(time.Second)
	if !u.touched["grant-1"].Equal(end) {
		t.Errorf("grant touched until %v, want the token's end %v", u.touched["grant-1"], end)
	}
	want := grants.Token{
		AccessToken: token.AccessToken, TokenType: "Bearer", ExpiresIn: 300, Scope: "mcp:read",
		ID: token.ID, ExpiresAt: end,
	}
	if token != want || token.AccessToken == "" || len(token.ID) < 22 {
		t.Errorf("Redeem = %+v, want %+v", token, want)
	}
}

func TestX13TokenClaims(t *testing.T) {
	f := newFixture(t)
	_, token, err := f.redeem(goodExchange(f.issue(goodCode())), goodClient(), goodTerms())
	if err != nil {
		t.Fatalf("Redeem = %v", err)
	}
	now := float64(start.Unix())
	want := map[string]any{
		"iss": issuer, "sub": "sub-alice", "aud": resource, "client_id": clientID, "scope": "mcp:read",
		"iat": now, "exp": now + 300, "auth_time": now - 60, "jti": token.ID,
	}
	if got := decode(t, token.AccessToken, 1); !reflect.DeepEqual(got, want) {
		t.Errorf("claims = %v, want %v", got, want)
	}
}

func TestTrap32TokenFollowsRFC9068(t *testing.T) {
	f := newFixture(t)
	r := goodCode()
	r.Grant.Resources = []string{resource, other}
	r.Grant.User.ACR = "urn:acr:2"
	r.Grant.User.AuthTime = time.Time{}
	terms := goodTerms()
	terms.Resources = []string{resource, other}
	terms.Scopes = []string{"mcp:read", "mcp:write"}
	_, token, err := f.redeem(goodExchange(f.issue(r)), goodClient(), terms)
	if err != nil {
		t.Fatalf("Redeem = %v", err)
	}
	if typ := decode(t, token.AccessToken, 0)["typ"]; typ != "at+jwt" {
		t.Errorf("typ = %v, want at+jwt", typ)
	}
	claims := decode(t, token.AccessToken, 1)
	if want := []any{resource, other}; !reflect.DeepEqual(claims["aud"], want) {
		t.Errorf("aud = %v, want %v", claims["aud"], want)
	}
	if claims["scope"] != "mcp:read mcp:write" || token.Scope != "mcp:read mcp:write" {
		t.Errorf("scope = %v and %q, want one string", claims["scope"], token.Scope)
	}
	if claims["acr"] != "urn:acr:2" {
		t.Errorf("acr = %v, want urn:acr:2", claims["acr"])
	}
	if at, ok := claims["auth_time"]; ok {
		t.Errorf("auth_time = %v, want none for an unknown time", at)
	}
	if claims["jti"] != token.ID {
		t.Errorf("jti = %v, want the kept %v", claims["jti"], token.ID)
	}
}

func TestTrap25ResourcesMatchExactly(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	for _, res := range []string{other, resource + "/", "https://mcp.example", resource + "?x"} {
		bad := x
		bad.Resources = []string{res}
		_, err := f.check(bad)
		wantReason(t, "Check for "+res, err, broker.ReasonResourceUnknown)
		terms := goodTerms()
		terms.Resources = []string{res}
		_, _, err = f.redeem(x, goodClient(), terms)
		wantReason(t, "Redeem for "+res, err, broker.ReasonResourceUnknown)
	}
	terms := goodTerms()
	terms.Resources = nil
	_, _, err := f.redeem(x, goodClient(), terms)
	wantReason(t, "Redeem for nothing", err, broker.ReasonResourceUnknown)
}

func TestTrap26TokenEndpointNarrows(t *testing.T) {
	f := newFixture(t)
	r := goodCode()
	r.Grant.Resources = []string{resource, other}
	x := goodExchange(f.issue(r))
	x.Resources = []string{other}
	terms := goodTerms()
	terms.Resources = []string{other}
	_, token, err := f.redeem(x, goodClient(), terms)
	if err != nil {
		t.Fatalf("Redeem = %v", err)
	}
	claims := decode(t, token.AccessToken, 1)
	if claims["aud"] != other || claims["scope"] != "mcp:read" {
		t.Errorf("aud and scope = %v and %v, want %s and mcp:read", claims["aud"], claims["scope"], other)
	}
}

func TestTrap27ScopesAreExact(t *testing.T) {
	f := newFixture(t)
	r := goodCode()
	r.Grant.Scopes = []string{"mcp.*", "mcp"}
	x := goodExchange(f.issue(r))
	for _, scope := range []string{"mcp.read", "mcp.", "*"} {
		terms := goodTerms()
		terms.Scopes = []string{scope}
		_, _, err := f.redeem(x, goodClient(), terms)
		wantReason(t, "Redeem with scope "+scope, err, broker.ReasonScopeNotAllowed)
	}
}

func TestTrap28OfflineAccessMakesNoRefreshToken(t *testing.T) {
	f := newFixture(t)
	terms := goodTerms()
	terms.Scopes = []string{"offline_access"}
	// A request for a refresh token would reach strategies that refuse.
	_, token, err := f.redeem(goodExchange(f.issue(goodCode())), goodClient(), terms)
	if err != nil || token.Scope != "offline_access" {
		t.Errorf("Redeem = %+v, %v, want a token with scope offline_access", token, err)
	}
}

func TestTrap31IssuedAtMoves(t *testing.T) {
	f := newFixture(t)
	var iat []any
	for range 2 {
		_, token, err := f.redeem(goodExchange(f.issue(goodCode())), goodClient(), goodTerms())
		if err != nil {
			t.Fatalf("Redeem = %v", err)
		}
		iat = append(iat, decode(t, token.AccessToken, 1)["iat"])
		f.clock.add(2 * time.Second)
	}
	if iat[1].(float64)-iat[0].(float64) != 2 {
		t.Errorf("iat = %v, want two seconds apart", iat)
	}
}

func TestTrap41TheSnapshotDecides(t *testing.T) {
	t.Run("B8 a client row that expired or changed", func(t *testing.T) {
		f := newFixture(t)
		c := goodClient()
		c.ExpiresAt = start.Add(-time.Hour)
		c.Document.RedirectURIs = []string{"https://elsewhere.example/cb"}
		c.Document.AuthMethod = "private_key_jwt"
		if _, _, err := f.redeem(goodExchange(f.issue(goodCode())), c, goodTerms()); err != nil {
			t.Errorf("Redeem = %v", err)
		}
	})
	t.Run("another incarnation", func(t *testing.T) {
		f := newFixture(t)
		c := goodClient()
		c.Incarnation++
		_, _, err := f.redeem(goodExchange(f.issue(goodCode())), c, goodTerms())
		wantReason(t, "Redeem", err, broker.ReasonClientEnded)
	})
	t.Run("another client", func(t *testing.T) {
		f := newFixture(t)
		c := goodClient()
		c.ID += "x"
		_, _, err := f.redeem(goodExchange(f.issue(goodCode())), c, goodTerms())
		wantReason(t, "Redeem", err, broker.ReasonClientEnded)
	})
}

func TestRedeemRefusesTerms(t *testing.T) {
	for name, edit := range map[string]func(*grants.Terms){
		"other format":              func(t *grants.Terms) { t.Format = "saml" },
		"other alg":                 func(t *grants.Terms) { t.Alg = "none" },
		"EdDSA":                     func(t *grants.Terms) { t.Alg = "EdDSA" },
		"refresh without lifetime":  func(t *grants.Terms) { t.Refresh = &grants.RefreshTerms{Idle: time.Hour} },
		"refresh without idle time": func(t *grants.Terms) { t.Refresh = &grants.RefreshTerms{TTL: time.Hour} },
		"PF-26 grace of more than a minute": func(t *grants.Terms) {
			t.Refresh = &grants.RefreshTerms{TTL: time.Hour, Idle: time.Hour, Grace: time.Minute + 1}
		},
		"negative grace": func(t *grants.Terms) {
			t.Refresh = &grants.RefreshTerms{TTL: time.Hour, Idle: time.Hour, Grace: -1}
		},
		"no lifetime": func(t *grants.Terms) { t.AccessTTL = 0 },
		"negative":    func(t *grants.Terms) { t.AccessTTL = -time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			terms := goodTerms()
			edit(&terms)
			_, _, err := f.redeem(goodExchange(f.issue(goodCode())), goodClient(), terms)
			wantReason(t, "Redeem", err, broker.ReasonServerTrouble)
		})
	}
}

func TestRedeemLifetimeInWholeSeconds(t *testing.T) {
	f := newFixture(t)
	terms := goodTerms()
	terms.AccessTTL, terms.Format = 90*time.Second+900*time.Millisecond, ""
	_, token, err := f.redeem(goodExchange(f.issue(goodCode())), goodClient(), terms)
	if err != nil || token.ExpiresIn != 90 || !token.ExpiresAt.Equal(start.Truncate(time.Second).Add(90*time.Second)) {
		t.Errorf("Redeem = %+v, %v, want 90 s", token, err)
	}
}

// Redeem does not rely on its caller having asked Check: Fosite, over this
// package's storage, refuses by itself.
func TestRedeemOfWhatCheckWouldRefuse(t *testing.T) {
	tests := []struct {
		name string
		edit func(*grants.Exchange, *grants.Pending)
		want broker.Reason
	}{
		{"replay", func(_ *grants.Exchange, p *grants.Pending) { p.Replay = true }, broker.ReasonGrantSpent},
		{"spent", func(_ *grants.Exchange, p *grants.Pending) { p.Code.SpentAt = start }, broker.ReasonGrantSpent},
		{"other code", func(x *grants.Exchange, _ *grants.Pending) { x.Code = challenge }, broker.ReasonCodeUnknown},
		{"trap 1 wrong verifier", func(x *grants.Exchange, _ *grants.Pending) { x.Verifier = challenge }, broker.ReasonCodeUnknown},
		{"trap 1 no verifier", func(x *grants.Exchange, _ *grants.Pending) { x.Verifier = "" }, broker.ReasonCodeUnknown},
		{"trap 1 no verifier, no challenge", func(x *grants.Exchange, p *grants.Pending) { x.Verifier, p.Code.Challenge = "", "" }, broker.ReasonServerTrouble},
		{"other client", func(x *grants.Exchange, _ *grants.Pending) { x.Auth.ClientID += "x" }, broker.ReasonClientAuthFailed},
		{"no client", func(x *grants.Exchange, _ *grants.Pending) { x.Auth.ClientID = "" }, broker.ReasonClientAuthFailed},
		{"other redirect_uri", func(x *grants.Exchange, _ *grants.Pending) { x.RedirectURI = redirectOf(redirect + "/") }, broker.ReasonCodeUnknown},
		{"other grant", func(_ *grants.Exchange, p *grants.Pending) { p.Grant.ID = "grant-2" }, broker.ReasonServerTrouble},
		{"nothing", func(_ *grants.Exchange, p *grants.Pending) { *p = grants.Pending{} }, broker.ReasonClientEnded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			x := goodExchange(f.issue(goodCode()))
			p, err := f.check(x)
			if err != nil {
				t.Fatalf("Check = %v", err)
			}
			tt.edit(&x, &p)
			u := f.memory.begin()
			token, err := f.engine.Redeem(t.Context(), u, x, p, goodClient(), goodTerms())
			wantReason(t, "Redeem", err, tt.want)
			if token != (grants.Token{}) || !u.Empty() {
				t.Errorf("Redeem = %+v and staged %+v, want nothing", token, u)
			}
		})
	}
}

func TestTrap42SignerTroubleSpendsNothing(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	f.signer.err = errors.New("key is gone")
	_, _, err := f.redeem(x, goodClient(), goodTerms())
	wantReason(t, "Redeem", err, broker.ReasonServerTrouble)
	if !errors.Is(err, f.signer.err) {
		t.Errorf("Redeem = %v, want it to wrap %v", err, f.signer.err)
	}
	f.signer.err = nil
	if _, err := f.exchange(x, goodTerms()); err != nil {
		t.Errorf("exchange afterwards = %v", err)
	}
}

// One engine serves many units at once; what one stages never shows in
// another.
func TestTrap40CallsDoNotMix(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			r, c := goodCode(), goodClient()
			r.Client.ID += string(rune('a' + i))
			r.Grant.ID, r.Grant.ClientID, c.ID = r.Client.ID, r.Client.ID, r.Client.ID
			u := f.memory.begin()
			code, err := f.engine.IssueCode(t.Context(), u, r)
			if err := errors.Join(err, f.memory.commit(u)); err != nil {
				t.Errorf("IssueCode = %v", err)
				return
			}
			x := goodExchange(code)
			x.Auth.ClientID = r.Client.ID
			u = f.memory.begin()
			p, err := f.engine.Check(t.Context(), u, x)
			if err != nil {
				t.Errorf("Check = %v", err)
				return
			}
			token, err := f.engine.Redeem(t.Context(), u, x, p, c, goodTerms())
			if err != nil {
				t.Errorf("Redeem = %v", err)
				return
			}
			if got := decode(t, token.AccessToken, 1)["client_id"]; got != r.Client.ID {
				t.Errorf("client_id = %v, want %v", got, r.Client.ID)
			}
			if len(u.spends) != 1 || !reflect.DeepEqual(u.requires, []string{r.Grant.ID}) {
				t.Errorf("staged %+v, want the call's own", u)
			}
		})
	}
	wg.Wait()
}

func BenchmarkExchange(b *testing.B) {
	f := newFixture(b)
	b.Run("issue check redeem", func(b *testing.B) {
		for b.Loop() {
			x := goodExchange(f.issue(goodCode()))
			if _, err := f.exchange(x, goodTerms()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one ES256 signature", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.signer.SignJWTWith("ES256", "at+jwt", map[string]string{"iss": issuer}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
