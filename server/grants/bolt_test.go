package grants_test

import (
	"path/filepath"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/server/keys"
	"guestlist/store"
	"guestlist/store/bolt"
)

// machine is a server's engine over real keys and a real file, which can be
// stopped and started.
type machine struct {
	desk
	dir   string
	keys  *keys.Keys
	clock *clock
	stop  func()
}

func (m *machine) restart() {
	m.t.Helper()
	if m.stop != nil {
		m.stop()
	}
	k, err := keys.Open(keys.Config{Dir: filepath.Join(m.dir, "keys"), Now: m.clock.now, RS256: true})
	if err != nil {
		m.t.Fatal(err)
	}
	m.keys = k
	s, err := bolt.Open(bolt.Config{Path: filepath.Join(m.dir, "db")})
	if err != nil {
		m.t.Fatal(err)
	}
	m.engine, err = grants.New(grants.Config{Issuer: issuer, Signer: k, Now: m.clock.now})
	if err != nil {
		m.t.Fatal(err)
	}
	m.begin = s.Begin
	m.commit = func(u store.Unit) error { return s.Commit(m.t.Context(), u) }
	m.stop = func() {
		if err := s.Close(); err != nil {
			m.t.Error(err)
		}
	}
}

func newMachine(t *testing.T) *machine {
	m := &machine{desk: desk{t: t}, dir: t.TempDir(), clock: &clock{t: start}}
	m.restart()
	t.Cleanup(func() { m.stop() })
	return m
}

func TestTrap30SixteenAgentsShareOneTokenInAFile(t *testing.T) { sixteen(t, newMachine(t).desk) }

// Everything between two requests is in the file and the key directory: a
// restart in any place changes nothing, and a rotation of keys no more (trap
// 33).
func TestTrapB17RestartBetweenAllSteps(t *testing.T) {
	m := newMachine(t)
	u := m.begin()
	code, err := m.engine.IssueCode(t.Context(), u, goodCode())
	if err != nil {
		t.Fatalf("IssueCode = %v", err)
	}
	if err := m.commit(u); err != nil {
		t.Fatal(err)
	}
	m.restart()
	u = m.begin()
	p, err := m.engine.Check(t.Context(), u, goodExchange(code))
	if err != nil {
		t.Fatalf("Check = %v", err)
	}
	terms := like("jwt", "RS256")
	first, err := m.engine.Redeem(t.Context(), u, goodExchange(code), p, goodClient(), terms)
	if err != nil {
		t.Fatalf("Redeem = %v", err)
	}
	if err := m.commit(u); err != nil {
		t.Fatal(err)
	}
	if err := m.keys.Rotate("signing"); err != nil {
		t.Fatal(err)
	}
	m.restart()
	m.clock.add(time.Hour)
	second := m.must(first.RefreshToken, terms)
	m.restart()
	if got := m.must(first.RefreshToken, terms); got != second {
		t.Errorf("repeat after a restart = %+v, want %+v", got, second)
	}
	m.restart()
	for _, token := range []grants.Token{first, second} {
		a, found, err := m.engine.FindAccess(t.Context(), m.begin(), token.AccessToken)
		if err != nil || !found || a.TokenID != token.ID {
			t.Errorf("FindAccess = %+v, %v, %v, want the row of %s", a, found, err, token.ID)
		}
	}
	if a, b := decode(t, first.AccessToken, 0), decode(t, second.AccessToken, 0); a["alg"] != "RS256" || b["alg"] != "RS256" || a["kid"] == b["kid"] {
		t.Errorf("headers = %v and %v, want RS256 with two keys", a, b)
	}
	third := m.must(second.RefreshToken, like("opaque", ""))
	m.restart()
	if a, found, err := m.engine.FindAccess(t.Context(), m.begin(), third.AccessToken); err != nil || !found || a.Format != "opaque" {
		t.Errorf("FindAccess = %+v, %v, %v, want the opaque token's row", a, found, err)
	}
	m.clock.add(grace)
	_, err = m.refresh(goodRefresh(first.RefreshToken), terms)
	wantReason(t, "reuse after a restart", err, broker.ReasonRefreshReused)
	_, err = m.refresh(goodRefresh(third.RefreshToken), terms)
	wantReason(t, "refresh of the ended family", err, broker.ReasonGrantEnded)
}
