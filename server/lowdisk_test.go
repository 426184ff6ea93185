package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// The free bytes of a disk that leave room, for a reserve of 256 MiB. What the
// file itself has is little.
var freeFor = map[broker.Room]int64{
	broker.RoomForAll: 1 << 40, broker.RoomForKnown: 200 << 20, broker.RoomForTokens: 100 << 20, broker.RoomForEnds: 10 << 20,
}

// onDisk is a server on a disk whose room the test sets.
func onDisk(t *testing.T) (s *servertest.Server, set func(broker.Room)) {
	t.Helper()
	free := new(atomic.Int64)
	free.Store(freeFor[broker.RoomForAll])
	s = servertest.New(t, servertest.Options{Disk: func() (int64, int64, error) { return free.Load(), 1 << 41, nil }})
	s.Docs.Publish(client, refreshing)
	s.Docs.Publish(docHost+"/stranger", refreshing)
	return s, func(r broker.Room) {
		t.Helper()
		free.Store(freeFor[r])
		if err := s.Store.Measure(t.Context()); err != nil || s.Store.Room() != r {
			t.Fatalf("Measure = %v, room %d, want %d", err, s.Store.Room(), r)
		}
	}
}

// lowScene is what somebody does while there is little room. It is prepared
// while there is enough.
type lowScene struct {
	name    string
	least   broker.Room // the least room that it works with
	told    bool        // a refusal goes to the client by redirect
	json    bool        // a refusal is JSON
	prepare func(t *testing.T, s *servertest.Server) func() (p servertest.Page, worked bool)
}

// lowScenes are all kinds of acts.
var lowScenes = []lowScene{
	{name: "a new client", least: broker.RoomForAll, prepare: func(_ *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		return func() (servertest.Page, bool) {
			p := s.Browser().Authorize(s.Request(docHost+"/stranger", nil))
			return p, isSignIn(p)
		}
	}},
	{name: "a known client", least: broker.RoomForKnown, told: true, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		return func() (servertest.Page, bool) {
			p := s.Browser().Authorize(s.Request(client, nil))
			return p, isSignIn(p)
		}
	}},
	{name: "sign-in for it", least: broker.RoomForKnown, told: true, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		b := s.Browser()
		p := b.Authorize(s.Request(client, nil))
		return func() (servertest.Page, bool) {
			p := b.SignIn(p, servertest.Person)
			return p, isConsent(p)
		}
	}},
	{name: "consent", least: broker.RoomForKnown, told: true, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		b := s.Browser()
		p := atConsent(t, s, b, nil)
		return func() (servertest.Page, bool) {
			p := b.Submit(p, "decision", allow())
			return p, p.Param("code") != ""
		}
	}},
	{name: "consent refused", least: broker.RoomForEnds, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		b := s.Browser()
		p := atConsent(t, s, b, nil)
		return func() (servertest.Page, bool) {
			p := b.Submit(p, "decision", url.Values{"decision": {"deny"}})
			return p, p.Param("error") == "access_denied"
		}
	}},
	{name: "code exchange", least: broker.RoomForTokens, json: true, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		form := s.Exchange(client, codePage(t, s, s.Browser(), nil), nil)
		return func() (servertest.Page, bool) {
			p := post(t, s, form, nil)
			return p, p.Status == http.StatusOK
		}
	}},
	{name: "refresh", least: broker.RoomForTokens, json: true, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		token := signedIn(t, s)["refresh_token"].(string)
		return func() (servertest.Page, bool) {
			p := post(t, s, url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}, nil)
			return p, p.Status == http.StatusOK
		}
	}},
	{name: "a code used twice ends its grant", least: broker.RoomForEnds, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		p := codePage(t, s, s.Browser(), nil)
		g := grantOf(t, s, p.Header.Get("X-Request-Id"))
		form := s.Exchange(client, p, nil)
		post(t, s, form, nil)
		return func() (servertest.Page, bool) {
			p := post(t, s, form, nil)
			return p, p.Status == http.StatusBadRequest && storedGrant(t, s, g.ID).EndReason == broker.ReasonGrantSpent
		}
	}},
	{name: "revocation", least: broker.RoomForEnds, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		tokens := signedIn(t, s)
		return func() (servertest.Page, bool) {
			status := revoke(t, s, tokens["refresh_token"])
			return servertest.Page{Status: status}, status == http.StatusOK && !isActive(t, s, tokens["access_token"])
		}
	}},
	{name: "introspection", least: broker.RoomForEnds, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		token := signedIn(t, s)["access_token"]
		return func() (servertest.Page, bool) { return servertest.Page{}, isActive(t, s, token) }
	}},
	{name: "consent taken back by a person who signs in for it", least: broker.RoomForEnds, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		g := grantOf(t, s, codePage(t, s, s.Browser(), nil).Header.Get("X-Request-Id"))
		return func() (servertest.Page, bool) {
			b := s.Browser()
			p := b.Submit(b.SignIn(b.Get(s.Issuer+"/account"), servertest.Person), "revoke", url.Values{"revoke": {g.ID}})
			return p, storedGrant(t, s, g.ID).EndReason == broker.ReasonConsentWithdrawn
		}
	}},
	{name: "a block", least: broker.RoomForEnds, prepare: func(t *testing.T, s *servertest.Server) func() (servertest.Page, bool) {
		return func() (servertest.Page, bool) {
			operate(t, s, func(u store.Unit) error {
				return s.Broker.Block(t.Context(), u, broker.Block{Kind: broker.BlockHost, Value: "evil.example", Reason: "incident", Actor: "olga"})
			})
			_, found, err := s.Store.Begin().Blocked(t.Context(), broker.BlockHost, "evil.example")
			return servertest.Page{}, found && err == nil
		}
	}},
}

// TestLowDiskOrder: with each loss of room exactly what is to be given up then
// is refused, with its reason, and works again when there is room.
func TestLowDiskOrder(t *testing.T) {
	t.Parallel()
	for room := broker.RoomForAll; room <= broker.RoomForEnds; room++ {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			t.Parallel()
			s, set := onDisk(t)
			codePage(t, s, s.Browser(), nil) // the client is known
			acts := make([]func() (servertest.Page, bool), len(lowScenes))
			for i, c := range lowScenes {
				acts[i] = c.prepare(t, s)
			}
			set(room)
			for i, c := range lowScenes {
				before := s.Store.Commits()
				p, worked := acts[i]()
				if worked != (room <= c.least) {
					t.Errorf("%s: worked = %v\nstatus %d, location %q\n%s", c.name, worked, p.Status, p.Location, p.Body)
				}
				if room > c.least {
					if n := s.Store.Commits() - before; n != 0 {
						t.Errorf("%s: %d commits, want none", c.name, n)
					}
					wantLow(t, s, c, p)
				}
			}
			wantPairs(t, s)
			wantReady(t, s, http.StatusOK)
			set(broker.RoomForAll)
			for i, c := range lowScenes {
				if room <= c.least {
					continue
				}
				if p, worked := acts[i](); !worked {
					t.Errorf("%s, with room again: status %d, location %q\n%s", c.name, p.Status, p.Location, p.Body)
				}
			}
			wantPairs(t, s)
		})
	}
}

// wantLow checks a refusal for want of room.
func wantLow(t *testing.T, s *servertest.Server, c lowScene, p servertest.Page) {
	t.Helper()
	switch {
	case c.told:
		wantRedirect(t, s, p, "temporarily_unavailable", broker.ReasonStoreLow)
		return
	case c.json:
		wantJSON(t, s, p, http.StatusServiceUnavailable, "temporarily_unavailable", broker.ReasonStoreLow)
	default:
		wantPage(t, s, p, http.StatusServiceUnavailable, broker.ReasonStoreLow)
	}
	if got := p.Header.Get("Retry-After"); got != "60" {
		t.Errorf("%s: Retry-After = %q, want 60", c.name, got)
	}
}

// TestLowDiskGrowsNoHistory: while new clients wait, a known one goes on with a
// document that changed, which does not enter its history.
func TestLowDiskGrowsNoHistory(t *testing.T) {
	t.Parallel()
	s, set := onDisk(t)
	for i, c := range []struct {
		room broker.Room
		kept int
	}{{broker.RoomForAll, 1}, {broker.RoomForKnown, 1}, {broker.RoomForAll, 2}} {
		set(c.room)
		s.Clock.Advance(2 * time.Hour)
		name := fmt.Sprint("Name ", i)
		s.Docs.Publish(client, map[string]any{"client_name": name})
		if p := s.Browser().Authorize(s.Request(client, nil)); !isSignIn(p) {
			t.Fatalf("with room %d: status %d\n%s", c.room, p.Status, brief(p))
		}
		row, _, err := s.Store.Begin().Client(t.Context(), client)
		if err != nil || row.Document.ClientName != name {
			t.Errorf("with room %d: the document of %q is in force, %v, want that of %q", c.room, row.Document.ClientName, err, name)
		}
		if list, err := s.Store.Versions(t.Context(), client); err != nil || len(list) != c.kept {
			t.Errorf("with room %d: %d versions, %v, want %d", c.room, len(list), err, c.kept)
		}
	}
}

// TestLowDiskSamplesNothing: while ends alone have room, no introspection is
// recorded.
func TestLowDiskSamplesNothing(t *testing.T) {
	t.Parallel()
	s, set := onDisk(t)
	token := signedIn(t, s)["access_token"]
	for _, c := range []struct {
		room broker.Room
		want int
	}{{broker.RoomForEnds, 0}, {broker.RoomForTokens, 1}} {
		set(c.room)
		if !isActive(t, s, token) {
			t.Errorf("with room %d the token is not active", c.room)
		}
		if got := s.Records(store.RecordQuery{Event: "token.introspected"}); len(got) != c.want {
			t.Errorf("with room %d: %d records of introspections, want %d", c.room, len(got), c.want)
		}
	}
}
