package grants_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/store"
)

func TestCheckAnswersWithCodeAndGrant(t *testing.T) {
	f := newFixture(t)
	code := f.issue(goodCode())
	got, err := f.check(goodExchange(code))
	if err != nil {
		t.Fatalf("Check = %v", err)
	}
	codes, _ := f.memory.snapshot()
	for _, stored := range codes {
		if want := (grants.Pending{Code: stored, Grant: goodGrant()}); !reflect.DeepEqual(got, want) {
			t.Errorf("Check = %+v, want %+v", got, want)
		}
	}
}

// redirectOf returns a redirect_uri that was sent.
func redirectOf(uri string) *string { return &uri }

// edits are one-thing-wrong exchanges in the order of Check's list. Whoever
// presents one of the first of each pair must get its reason even when
// everything behind it is wrong too.
var edits = []struct {
	name string
	edit func(*fixture, *grants.Exchange)
	want broker.Reason
}{
	{"unknown code", func(_ *fixture, x *grants.Exchange) { x.Code = strings.Repeat("A", 43) }, broker.ReasonCodeUnknown},
	{"other client", func(_ *fixture, x *grants.Exchange) { x.Auth.ClientID = "https://other.example/m" }, broker.ReasonCodeUnknown},
	{"other method", func(_ *fixture, x *grants.Exchange) { x.Auth.Method = "private_key_jwt" }, broker.ReasonClientAuthFailed},
	{"other redirect_uri", func(_ *fixture, x *grants.Exchange) { x.RedirectURI = redirectOf(redirect + "/") }, broker.ReasonCodeUnknown},
	{"wrong verifier", func(_ *fixture, x *grants.Exchange) { x.Verifier = strings.Repeat("a", 43) }, broker.ReasonPKCEFailed},
	{"expired", func(f *fixture, _ *grants.Exchange) { f.clock.add(time.Minute) }, broker.ReasonCodeUnknown},
	{"other resource", func(_ *fixture, x *grants.Exchange) { x.Resources = []string{other} }, broker.ReasonResourceUnknown},
	{"ended grant", func(f *fixture, _ *grants.Exchange) {
		u := f.memory.begin()
		u.EndGrant("grant-1", start, broker.ReasonGrantEnded)
		_ = f.memory.commit(u)
	}, broker.ReasonGrantEnded},
}

func TestCheckRefusesInOrder(t *testing.T) {
	for i, tt := range edits {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			x := goodExchange(f.issue(goodCode()))
			tt.edit(f, &x)
			p, err := f.check(x)
			wantReason(t, "Check", err, tt.want)
			if !reflect.DeepEqual(p, grants.Pending{}) {
				t.Errorf("Check = %+v beside %s, want zero", p, tt.want)
			}
			for _, later := range edits[i+1:] {
				later.edit(f, &x)
			}
			_, err = f.check(x)
			wantReason(t, "Check with the rest wrong too", err, tt.want)
		})
	}
}

func TestCheckGrantLifeOnTheBoundary(t *testing.T) {
	f := newFixture(t)
	r := goodCode()
	r.Grant.ExpiresAt = start.Add(30 * time.Second)
	x := goodExchange(f.issue(r))
	f.clock.add(30*time.Second - 1)
	if _, err := f.check(x); err != nil {
		t.Errorf("Check before the end = %v", err)
	}
	f.clock.add(1)
	_, err := f.check(x)
	wantReason(t, "Check at the end", err, broker.ReasonGrantEnded)
}

func TestCheckCodeWithoutItsGrant(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	f.memory.grants = map[string]store.Grant{}
	_, err := f.check(x)
	wantReason(t, "Check", err, broker.ReasonGrantEnded)
}

func TestX4RedirectURIOnlyWhenSent(t *testing.T) {
	for _, sent := range []bool{true, false} {
		t.Run(fmt.Sprintf("authorization request named it: %v", sent), func(t *testing.T) {
			f := newFixture(t)
			r := goodCode()
			r.RedirectSent = sent
			x := goodExchange(f.issue(r))
			x.RedirectURI = redirectOf("")
			_, err := f.check(x)
			wantReason(t, "Check with an empty redirect_uri", err, broker.ReasonCodeUnknown)
			x.RedirectURI = nil
			if _, err := f.exchange(x, goodTerms()); err != nil {
				t.Errorf("exchange without redirect_uri = %v", err)
			}
		})
	}
}

func TestTrap01PKCEDowngrade(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	for _, v := range []string{
		strings.Repeat("a", 43), "", verifier[:42], verifier + strings.Repeat("a", 86),
		verifier[:42] + "+", verifier[:42] + " ", challenge,
	} {
		x.Verifier = v
		_, err := f.exchange(x, goodTerms())
		wantReason(t, fmt.Sprintf("exchange with verifier %q", v), err, broker.ReasonPKCEFailed)
	}
}

func TestTrap01VerifierForm(t *testing.T) {
	for _, tt := range []struct {
		name, verifier string
		ok             bool
	}{
		{"42 characters", strings.Repeat("a", 42), false},
		{"43 characters", strings.Repeat("~", 43), true},
		{"128 characters", strings.Repeat("a.-_", 32), true},
		{"129 characters", strings.Repeat("a", 129), false},
		{"plus", verifier[:42] + "+", false},
		{"space", verifier[:42] + " ", false},
		{"not ASCII", verifier[:41] + "é", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			r := goodCode()
			r.Challenge = challengeOf(tt.verifier)
			x := goodExchange(f.issue(r))
			x.Verifier = tt.verifier
			if !tt.ok {
				_, err := f.check(x)
				wantReason(t, "Check", err, broker.ReasonPKCEFailed)
				return
			}
			if _, err := f.exchange(x, goodTerms()); err != nil {
				t.Errorf("exchange = %v", err)
			}
		})
	}
}

func TestTrap02WrongVerifierDoesNotBurnTheCode(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	wrong := x
	wrong.Verifier = strings.Repeat("a", 43)
	for range 3 {
		_, err := f.exchange(wrong, goodTerms())
		wantReason(t, "exchange with the wrong verifier", err, broker.ReasonPKCEFailed)
	}
	if _, err := f.exchange(x, goodTerms()); err != nil {
		t.Errorf("exchange with the right verifier = %v", err)
	}
}

func TestTrapF3RefusedClientDoesNotBurnTheCode(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	refused := x
	refused.Auth.Method = "client_secret_basic"
	_, err := f.exchange(refused, goodTerms())
	wantReason(t, "exchange with another method", err, broker.ReasonClientAuthFailed)
	if _, err := f.exchange(x, goodTerms()); err != nil {
		t.Errorf("exchange with method none = %v", err)
	}
}

func TestReplayIsKnownForItsWindow(t *testing.T) {
	for _, after := range []time.Duration{0, 59 * time.Second, 23 * time.Hour} {
		t.Run(after.String(), func(t *testing.T) {
			f := newFixture(t)
			x := goodExchange(f.issue(goodCode()))
			if _, err := f.exchange(x, goodTerms()); err != nil {
				t.Fatalf("exchange = %v", err)
			}
			f.clock.add(after)
			p, err := f.check(x)
			wantReason(t, "Check of the replay", err, broker.ReasonGrantSpent)
			if !p.Replay || p.Grant.ID != "grant-1" || p.Code.GrantID != "grant-1" {
				t.Errorf("Check = %+v, want a replay with its grant", p)
			}
		})
	}
}

// A replay that fails any check before the last is no replay: nothing tells
// the caller to end the grant.
func TestTrapF1ReplayThatFailsAnEarlierCheckTouchesNothing(t *testing.T) {
	for _, tt := range edits {
		if tt.name == "expired" || tt.name == "ended grant" {
			continue // a spent code is a replay whatever the time, and first
		}
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			x := goodExchange(f.issue(goodCode()))
			if _, err := f.exchange(x, goodTerms()); err != nil {
				t.Fatalf("exchange = %v", err)
			}
			tt.edit(f, &x)
			p, err := f.check(x)
			wantReason(t, "Check", err, tt.want)
			if !reflect.DeepEqual(p, grants.Pending{}) {
				t.Errorf("Check = %+v, want zero", p)
			}
		})
	}
}

// endOnReplay does what package server does with an exchange.
func (f *fixture) endOnReplay(x grants.Exchange) error {
	u := f.memory.begin()
	p, err := f.engine.Check(f.t.Context(), u, x)
	if p.Replay {
		u.EndGrant(p.Grant.ID, f.clock.now(), broker.ReasonGrantSpent)
		return errors.Join(err, f.memory.commit(u))
	}
	if err != nil {
		return err
	}
	if _, err := f.engine.Redeem(f.t.Context(), u, x, p, goodClient(), goodTerms()); err != nil {
		return err
	}
	return f.memory.commit(u)
}

func TestTrapF1ThievesCannotEndTheVictimsGrant(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	thief := x
	thief.Auth.ClientID = "https://thief.example/m"
	var wg sync.WaitGroup
	var owner error
	wg.Go(func() { owner = f.endOnReplay(x) })
	for range 50 {
		wg.Go(func() {
			wantReason(t, "exchange by a thief", f.endOnReplay(thief), broker.ReasonCodeUnknown)
		})
	}
	wg.Wait()
	if owner != nil {
		t.Errorf("exchange by the owner = %v", owner)
	}
	wantReason(t, "exchange by a thief afterwards", f.endOnReplay(thief), broker.ReasonCodeUnknown)
	if _, all := f.memory.snapshot(); !all["grant-1"].EndedAt.IsZero() {
		t.Error("the victim's grant has ended")
	}
}

func TestFiftySpendersOneToken(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	errs := make([]error, 50)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = f.exchange(x, goodTerms()) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case errors.Is(err, broker.ErrSpent), broker.ReasonOf(err) == broker.ReasonGrantSpent:
		default:
			t.Errorf("exchange = %v, want success or spent", err)
		}
	}
	if won != 1 {
		t.Errorf("%d exchanges won, want 1", won)
	}
}

func TestTrap42StoreErrorsAreNotTheClientsFault(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	f.memory.reads = fmt.Errorf("disk: %w", store.ErrUnavailable)
	_, err := f.check(x)
	wantReason(t, "Check", err, broker.ReasonStoreUnavailable)
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Check = %v, want it to wrap the store's error", err)
	}
}
