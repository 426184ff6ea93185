package grants_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/store"
)

// spent is a family whose first token was used.
func spent(t *testing.T) (f *fixture, first, second grants.Token) {
	f = newFixture(t)
	first = f.desk().start(goodCode(), refreshTerms())
	return f, first, f.desk().must(first.RefreshToken, refreshTerms())
}

// row edits the stored row of a refresh token.
func (f *fixture) row(token string, edit func(*store.Refresh)) {
	r := f.memory.refresh[hashHex(token)]
	edit(&r)
	f.memory.refresh[r.Hash] = r
}

func TestTrap30TheAnswerIsRepeatedToTheByte(t *testing.T) {
	f, first, second := spent(t)
	want, err := json.Marshal(second)
	if err != nil {
		t.Fatal(err)
	}
	f.clock.add(grace - 1)
	u := f.memory.begin()
	h, err := f.engine.CheckRefresh(t.Context(), u, goodRefresh(first.RefreshToken))
	if err != nil || h.Repeat == nil {
		t.Fatalf("CheckRefresh = %+v, %v, want the answer", h, err)
	}
	f.engine.Repeat(u, h)
	if got, err := json.Marshal(h.Repeat); err != nil || !bytes.Equal(got, want) || *h.Repeat != second {
		t.Errorf("Repeat = %s, %v, want %s", got, err, want)
	}
	if !slices.Equal(u.requires, []string{"grant-1"}) || len(u.repeats) != 1 || u.repeats[hashHex(first.RefreshToken)] != 20 ||
		!u.repeatAt.Equal(start.Add(grace-1)) || len(u.uses)+len(u.refreshes)+len(u.accesses)+len(u.touched)+len(u.ended) != 0 {
		t.Errorf("staged %+v, want one repeat and the grant's life", u)
	}
	f.desk().must(second.RefreshToken, refreshTerms())
}

func TestTrap30TheAnswerIsRepeatedTwentyTimes(t *testing.T) {
	f, first, second := spent(t)
	for i := range 20 {
		if got, err := f.desk().refresh(goodRefresh(first.RefreshToken), refreshTerms()); err != nil || got != second {
			t.Fatalf("repeat %d = %+v, %v, want %+v", i+1, got, err, second)
		}
	}
	h, err := f.checkRefresh(goodRefresh(first.RefreshToken))
	wantReason(t, "repeat 21", err, broker.ReasonRefreshReused)
	if h.Reused || !f.live() {
		t.Errorf("repeat 21 = %+v, want that nothing ends", h)
	}
	f.desk().must(second.RefreshToken, refreshTerms())
}

func TestTrap30TheAnswerEndsWithItsSuccessorsUse(t *testing.T) {
	f, first, second := spent(t)
	third := f.desk().must(second.RefreshToken, refreshTerms())
	h, err := f.checkRefresh(goodRefresh(first.RefreshToken))
	wantReason(t, "CheckRefresh", err, broker.ReasonRefreshReused)
	if h.Reused || h.Repeat != nil || h.Grant.ID != "grant-1" || !f.live() {
		t.Errorf("CheckRefresh = %+v, want a slow sibling and a live grant", h)
	}
	if got := f.desk().must(second.RefreshToken, refreshTerms()); got != third {
		t.Errorf("repeat for the successor = %+v, want %+v", got, third)
	}
	f.desk().must(third.RefreshToken, refreshTerms())
}

// A repetition is the answer to the same question. Another would put a token
// for one resource into the hands of another.
func TestTheAnswerIsRepeatedToTheSameRequestAlone(t *testing.T) {
	f := newFixture(t)
	r, terms := goodCode(), refreshTerms()
	r.Grant.Resources = []string{resource, other}
	first := f.desk().start(r, terms)
	x := goodRefresh(first.RefreshToken)
	x.Scopes, x.Resources = []string{"mcp:read", "mcp:write"}, []string{resource}
	second, err := f.desk().refresh(x, terms)
	if err != nil {
		t.Fatalf("refresh = %v", err)
	}
	for _, tt := range []struct {
		name              string
		scopes, resources []string
		same              bool
	}{
		{"same", x.Scopes, x.Resources, true},
		{"other order, twice", []string{"mcp:write", "mcp:read", "mcp:write"}, []string{resource, resource}, true},
		{"other resource", x.Scopes, []string{other}, false},
		{"all resources", x.Scopes, nil, false},
		{"fewer scopes", []string{"mcp:read"}, x.Resources, false},
		{"all scopes", nil, x.Resources, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			again := x
			again.Scopes, again.Resources = tt.scopes, tt.resources
			h, err := f.checkRefresh(again)
			if tt.same {
				if err != nil || h.Repeat == nil || *h.Repeat != second {
					t.Errorf("CheckRefresh = %+v, %v, want the answer", h, err)
				}
				return
			}
			wantReason(t, "CheckRefresh", err, broker.ReasonRefreshReused)
			if h.Reused || h.Repeat != nil {
				t.Errorf("CheckRefresh = %+v, want nothing given and nothing ended", h)
			}
		})
	}
}

func TestRepeatAfterTheGrantEnded(t *testing.T) {
	f, first, _ := spent(t)
	u := f.memory.begin()
	h, err := f.engine.CheckRefresh(t.Context(), u, goodRefresh(first.RefreshToken))
	if err != nil || h.Repeat == nil {
		t.Fatalf("CheckRefresh = %+v, %v, want the answer", h, err)
	}
	f.engine.Repeat(u, h)
	end := f.memory.begin()
	end.EndGrant("grant-1", start, broker.ReasonGrantEnded)
	if err := f.memory.commit(end); err != nil {
		t.Fatal(err)
	}
	if err := f.memory.commit(u); err == nil {
		t.Error("the repetition was committed after the grant's end")
	}
	_, err = f.checkRefresh(goodRefresh(first.RefreshToken))
	wantReason(t, "CheckRefresh", err, broker.ReasonGrantEnded)
}

func TestATamperedAnswerFailsClosed(t *testing.T) {
	flip := func(i int) func(*store.Refresh) {
		return func(r *store.Refresh) {
			r.Answer = slices.Clone(r.Answer)
			r.Answer[(i+len(r.Answer))%len(r.Answer)] ^= 1
		}
	}
	for name, edit := range map[string]func(*store.Refresh){
		"nonce":             flip(0),
		"text":              flip(40),
		"tag":               flip(-1),
		"cut to nothing":    func(r *store.Refresh) { r.Answer = r.Answer[:1] },
		"cut to the nonce":  func(r *store.Refresh) { r.Answer = r.Answer[:24] },
		"cut at the end":    func(r *store.Refresh) { r.Answer = r.Answer[:len(r.Answer)-1] },
		"in clear":          func(r *store.Refresh) { r.Answer = []byte(`{"token":{"AccessToken":"forged, and long enough"}}`) },
		"another successor": func(r *store.Refresh) { r.Successor = hashHex("x") },
		"no successor":      func(r *store.Refresh) { r.Successor = "" },
	} {
		t.Run(name, func(t *testing.T) {
			f, first, _ := spent(t)
			f.row(first.RefreshToken, edit)
			h, err := f.checkRefresh(goodRefresh(first.RefreshToken))
			wantReason(t, "CheckRefresh", err, broker.ReasonServerTrouble)
			if !reflect.DeepEqual(h, grants.Held{}) || !f.live() {
				t.Errorf("CheckRefresh = %+v, want nothing", h)
			}
		})
	}
}

func TestAMovedAnswerFailsClosed(t *testing.T) {
	f, first, second := spent(t)
	f.desk().must(second.RefreshToken, refreshTerms())
	var moved []byte
	f.row(second.RefreshToken, func(r *store.Refresh) { moved = r.Answer })
	f.row(first.RefreshToken, func(r *store.Refresh) { r.Answer = moved })
	_, err := f.checkRefresh(goodRefresh(first.RefreshToken))
	wantReason(t, "CheckRefresh", err, broker.ReasonServerTrouble)

	// With the right token, but in the row of another grant.
	f, first, _ = spent(t)
	grant := f.memory.grants["grant-1"]
	grant.ID = "grant-2"
	f.memory.grants["grant-2"] = grant
	f.row(first.RefreshToken, func(r *store.Refresh) { r.GrantID = "grant-2" })
	_, err = f.checkRefresh(goodRefresh(first.RefreshToken))
	wantReason(t, "CheckRefresh for another grant", err, broker.ReasonServerTrouble)
}

func TestNoSecretReachesTheStore(t *testing.T) {
	f, first, second := spent(t)
	third := f.desk().must(second.RefreshToken, refreshTerms())
	terms := refreshTerms()
	terms.Format = "opaque"
	fourth := f.desk().must(third.RefreshToken, terms)
	rows := fmt.Sprintf("%+v %+v", f.memory.refresh, f.memory.access)
	for _, r := range f.memory.refresh {
		rows += string(r.Answer)
	}
	for _, token := range []grants.Token{first, second, third, fourth} {
		for _, secret := range []string{token.AccessToken, token.RefreshToken} {
			if strings.Contains(rows, secret) {
				t.Errorf("the store holds %q", secret)
			}
		}
	}
}

// A stranger who presents a victim's token, at whatever stage of its life,
// learns one thing and changes nothing.
func TestTrapF1AStrangerWithARefreshTokenChangesNothing(t *testing.T) {
	for _, stage := range []struct {
		name  string
		reach func(f *fixture, first grants.Token)
	}{
		{"unspent", func(*fixture, grants.Token) {}},
		{"in grace", func(f *fixture, first grants.Token) { f.desk().must(first.RefreshToken, refreshTerms()) }},
		{"closed", func(f *fixture, first grants.Token) {
			f.desk().must(f.desk().must(first.RefreshToken, refreshTerms()).RefreshToken, refreshTerms())
		}},
		{"after grace", func(f *fixture, first grants.Token) {
			f.desk().must(first.RefreshToken, refreshTerms())
			f.clock.add(grace)
		}},
		{"expired", func(f *fixture, _ grants.Token) { f.clock.add(idle) }},
	} {
		for _, who := range []struct {
			name string
			auth grants.ClientAuth
			want broker.Reason
		}{
			{"another client", grants.ClientAuth{ClientID: "https://thief.example/m", Method: "none"}, broker.ReasonRefreshUnknown},
			{"no client", grants.ClientAuth{Method: "none"}, broker.ReasonRefreshUnknown},
			{"another method", grants.ClientAuth{ClientID: clientID, Method: "private_key_jwt"}, broker.ReasonClientAuthFailed},
			{"no method", grants.ClientAuth{ClientID: clientID}, broker.ReasonClientAuthFailed},
		} {
			t.Run(stage.name+", "+who.name, func(t *testing.T) {
				f := newFixture(t)
				first := f.desk().start(goodCode(), refreshTerms())
				stage.reach(f, first)
				before := fmt.Sprintf("%+v", f.memory.refresh)
				x := goodRefresh(first.RefreshToken)
				x.Auth = who.auth
				h, err := f.checkRefresh(x)
				wantReason(t, "CheckRefresh", err, who.want)
				_, err = f.desk().refresh(x, refreshTerms())
				wantReason(t, "refresh", err, who.want)
				if !reflect.DeepEqual(h, grants.Held{}) || !f.live() || fmt.Sprintf("%+v", f.memory.refresh) != before {
					t.Errorf("CheckRefresh = %+v, live %v, want nothing changed", h, f.live())
				}
			})
		}
	}
}

// sixteen refreshes one token from 16 agents at once and then lets each go on
// with what it got.
func sixteen(t *testing.T, d desk) {
	first := d.start(goodCode(), refreshTerms())
	token := first.RefreshToken
	for range 2 {
		got := make([]grants.Token, 16)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				var err error
				if got[i], err = d.refresh(goodRefresh(token), refreshTerms()); err != nil {
					t.Errorf("refresh = %v", err)
				}
			})
		}
		wg.Wait()
		for _, one := range got {
			if one != got[0] || one.RefreshToken == "" || one.RefreshToken == token {
				t.Fatalf("refresh = %+v and %+v, want one successor", one, got[0])
			}
		}
		token = got[0].RefreshToken
	}
}

func TestTrap30SixteenAgentsShareOneToken(t *testing.T) { sixteen(t, newFixture(t).desk()) }

func TestTrap30ThievesBesideTheOwnersAgents(t *testing.T) {
	f := newFixture(t)
	first := f.desk().start(goodCode(), refreshTerms())
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			x := goodRefresh(first.RefreshToken)
			if i%2 == 0 {
				x.Auth.ClientID = "https://thief.example/m"
			}
			token, err := f.desk().refresh(x, refreshTerms())
			if i%2 == 0 {
				wantReason(t, "refresh by a thief", err, broker.ReasonRefreshUnknown)
			} else if err != nil || token.RefreshToken == "" {
				t.Errorf("refresh by the owner = %+v, %v", token, err)
			}
		})
	}
	wg.Wait()
	if !f.live() {
		t.Error("the victim's grant has ended")
	}
}

func TestReuseOfAnOldTokenOfALongFamily(t *testing.T) {
	f, first, token := spent(t)
	for range 5 {
		f.clock.add(time.Hour)
		token = f.desk().must(token.RefreshToken, refreshTerms())
	}
	h, err := f.checkRefresh(goodRefresh(first.RefreshToken))
	wantReason(t, "CheckRefresh", err, broker.ReasonRefreshReused)
	if !h.Reused {
		t.Errorf("CheckRefresh = %+v, want reused", h)
	}
}

// The answer does not depend on what a process's clock knows beside the
// instant: a zone, and the reading of a clock of its own.
func TestTheAnswerIsTheSameWhateverTheClock(t *testing.T) {
	f := newFixture(t)
	f.clock.t = time.Now().In(time.FixedZone("east", 3600))
	r := goodCode()
	r.Grant.ExpiresAt = f.clock.t.Add(time.Hour)
	first := f.desk().start(r, refreshTerms())
	second := f.desk().must(first.RefreshToken, refreshTerms())
	if got := f.desk().must(first.RefreshToken, refreshTerms()); got != second {
		t.Errorf("repeat = %+v, want %+v", got, second)
	}
}
