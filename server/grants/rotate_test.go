package grants_test

import (
	"errors"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
)

// rotate checks and rotates without a commit.
func (f *fixture) rotate(x grants.RefreshRequest, c broker.Client, t grants.Terms) (*unit, grants.Token, error) {
	f.t.Helper()
	h, err := f.checkRefresh(x)
	if err != nil {
		f.t.Fatalf("CheckRefresh = %v", err)
	}
	return f.rotateHeld(x, h, c, t)
}

func (f *fixture) rotateHeld(x grants.RefreshRequest, h grants.Held, c broker.Client, t grants.Terms) (*unit, grants.Token, error) {
	f.t.Helper()
	u := f.memory.begin()
	token, err := f.engine.Rotate(f.t.Context(), u, x, h, c, t)
	if err != nil && (!u.Empty() || token != grants.Token{}) {
		f.t.Errorf("Rotate = %+v and staged %+v beside %v, want nothing", token, u, err)
	}
	return u, token, err
}

func TestTrap41TheSnapshotDecidesARefresh(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*broker.Client)
		want broker.Reason
	}{
		{"client row that expired or changed", func(c *broker.Client) {
			c.ExpiresAt = start.Add(-time.Hour)
			c.Document.RedirectURIs, c.Document.AuthMethod = nil, "private_key_jwt"
		}, ""},
		{"another incarnation", func(c *broker.Client) { c.Incarnation++ }, broker.ReasonClientEnded},
		{"another client", func(c *broker.Client) { c.ID += "x" }, broker.ReasonClientEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			x := goodRefresh(f.desk().start(goodCode(), refreshTerms()).RefreshToken)
			c := goodClient()
			tt.edit(&c)
			_, _, err := f.rotate(x, c, refreshTerms())
			if tt.want == "" && err != nil {
				t.Errorf("Rotate = %v", err)
			}
			if tt.want != "" {
				wantReason(t, "Rotate", err, tt.want)
			}
		})
	}
}

func TestRotateRefusesTerms(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*grants.Terms)
		want broker.Reason
	}{
		{"Q6 no refresh token", func(t *grants.Terms) { t.Refresh = nil }, broker.ReasonGrantTypeNotAllowed},
		{"trap 25 no resource of the grant", func(t *grants.Terms) { t.Resources = []string{resource + "/x"} }, broker.ReasonResourceUnknown},
		{"no resource", func(t *grants.Terms) { t.Resources = nil }, broker.ReasonResourceUnknown},
		{"no lifetime", func(t *grants.Terms) { t.AccessTTL = 0 }, broker.ReasonServerTrouble},
		{"other format", func(t *grants.Terms) { t.Format = "saml" }, broker.ReasonServerTrouble},
		{"other alg", func(t *grants.Terms) { t.Alg = "HS256" }, broker.ReasonServerTrouble},
		{"no idle time", func(t *grants.Terms) { t.Refresh.Idle = 0 }, broker.ReasonServerTrouble},
		{"PF-26 grace of more than a minute", func(t *grants.Terms) { t.Refresh.Grace = time.Minute + 1 }, broker.ReasonServerTrouble},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			terms := refreshTerms()
			tt.edit(&terms)
			_, _, err := f.rotate(goodRefresh(f.desk().start(goodCode(), refreshTerms()).RefreshToken), goodClient(), terms)
			wantReason(t, "Rotate", err, tt.want)
		})
	}
}

// Terms beyond the grant give what is the grant's: a token never has more.
func TestTrap27RefreshedScopesStayInTheGrant(t *testing.T) {
	f := newFixture(t)
	terms := refreshTerms()
	x := goodRefresh(f.desk().start(goodCode(), terms).RefreshToken)
	terms.Scopes = []string{"mcp:read", "mcp:admin", "mcp:*"}
	terms.Resources = []string{resource, other}
	_, token, err := f.rotate(x, goodClient(), terms)
	if err != nil || token.Scope != "mcp:read" {
		t.Fatalf("Rotate = %+v, %v, want scope mcp:read", token, err)
	}
	if aud := decode(t, token.AccessToken, 1)["aud"]; aud != resource {
		t.Errorf("aud = %v, want %s", aud, resource)
	}
}

// Rotate does not rely on its caller having asked CheckRefresh.
func TestRotateOfWhatCheckRefreshWouldRefuse(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*fixture, *grants.RefreshRequest, *grants.Held)
		want broker.Reason
	}{
		{"reused", func(_ *fixture, _ *grants.RefreshRequest, h *grants.Held) { h.Reused = true }, broker.ReasonRefreshReused},
		{"repeat", func(_ *fixture, _ *grants.RefreshRequest, h *grants.Held) { h.Repeat = &grants.Token{} }, broker.ReasonRefreshReused},
		{"spent", func(_ *fixture, _ *grants.RefreshRequest, h *grants.Held) { h.Refresh.SpentAt = start }, broker.ReasonRefreshReused},
		{"other token", func(_ *fixture, x *grants.RefreshRequest, _ *grants.Held) { x.Token = challenge }, broker.ReasonRefreshUnknown},
		{"no token", func(_ *fixture, x *grants.RefreshRequest, _ *grants.Held) { x.Token = "" }, broker.ReasonRefreshUnknown},
		{"other client", func(_ *fixture, x *grants.RefreshRequest, _ *grants.Held) { x.Auth.ClientID += "x" }, broker.ReasonClientAuthFailed},
		{"no client", func(_ *fixture, x *grants.RefreshRequest, _ *grants.Held) { x.Auth.ClientID = "" }, broker.ReasonClientAuthFailed},
		{"expired while policy was asked", func(f *fixture, _ *grants.RefreshRequest, _ *grants.Held) { f.clock.add(idle) }, broker.ReasonRefreshExpired},
		{"other grant", func(_ *fixture, _ *grants.RefreshRequest, h *grants.Held) { h.Grant.ID = "grant-2" }, broker.ReasonServerTrouble},
		{"nothing", func(_ *fixture, _ *grants.RefreshRequest, h *grants.Held) { *h = grants.Held{} }, broker.ReasonServerTrouble},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			x := goodRefresh(f.desk().start(goodCode(), refreshTerms()).RefreshToken)
			h, err := f.checkRefresh(x)
			if err != nil {
				t.Fatalf("CheckRefresh = %v", err)
			}
			tt.edit(f, &x, &h)
			_, _, err = f.rotateHeld(x, h, goodClient(), refreshTerms())
			wantReason(t, "Rotate", err, tt.want)
		})
	}
}

func TestTrap42SignerTroubleSpendsNoRefreshToken(t *testing.T) {
	f := newFixture(t)
	token := f.desk().start(goodCode(), refreshTerms())
	f.signer.err = errors.New("key is gone")
	_, _, err := f.rotate(goodRefresh(token.RefreshToken), goodClient(), refreshTerms())
	wantReason(t, "Rotate", err, broker.ReasonServerTrouble)
	if !errors.Is(err, f.signer.err) {
		t.Errorf("Rotate = %v, want it to wrap %v", err, f.signer.err)
	}
	f.signer.err = nil
	f.desk().must(token.RefreshToken, refreshTerms())
}

// A commit that somebody else won hands nothing out twice: asked again, the
// loser gets the winner's answer.
func TestTheLoserOfARaceGetsTheWinnersAnswer(t *testing.T) {
	f := newFixture(t)
	x := goodRefresh(f.desk().start(goodCode(), refreshTerms()).RefreshToken)
	u, lost, err := f.rotate(x, goodClient(), refreshTerms())
	if err != nil {
		t.Fatal(err)
	}
	won := f.desk().must(x.Token, refreshTerms())
	if err := f.memory.commit(u); !errors.Is(err, broker.ErrSpent) {
		t.Errorf("commit of the loser = %v, want ErrSpent", err)
	}
	if got := f.desk().must(x.Token, refreshTerms()); got != won || got == lost {
		t.Errorf("refresh of the loser = %+v, want the winner's %+v", got, won)
	}
}

func BenchmarkRotate(b *testing.B) {
	f := newFixture(b)
	b.Run("check rotate", func(b *testing.B) {
		terms := refreshTerms()
		b.ReportAllocs()
		token := f.desk().start(goodCode(), terms).RefreshToken
		for b.Loop() {
			token = f.desk().must(token, terms).RefreshToken
		}
	})
	b.Run("repeat", func(b *testing.B) {
		b.ReportAllocs()
		r := goodCode()
		r.Grant.ID = "grant-2"
		x := goodRefresh(f.desk().start(r, refreshTerms()).RefreshToken)
		f.desk().must(x.Token, refreshTerms())
		for b.Loop() {
			if h, err := f.engine.CheckRefresh(b.Context(), f.memory.begin(), x); err != nil || h.Repeat == nil {
				b.Fatal(h, err)
			}
		}
	})
	b.Run("one ES256 signature", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.signer.SignJWTWith("ES256", "at+jwt", map[string]string{"iss": issuer}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
