package grants_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/store"
)

func TestNewRefuses(t *testing.T) {
	good := grants.Config{Issuer: issuer, Signer: newSigner(t), Now: time.Now}
	tests := []struct {
		name string
		edit func(*grants.Config)
		ok   bool
	}{
		{"as it is", func(*grants.Config) {}, true},
		{"ten minutes", func(c *grants.Config) { c.CodeTTL = 10 * time.Minute }, true},
		{"no issuer", func(c *grants.Config) { c.Issuer = "" }, false},
		{"no signer", func(c *grants.Config) { c.Signer = nil }, false},
		{"no clock", func(c *grants.Config) { c.Now = nil }, false},
		{"trap 29 more than ten minutes", func(c *grants.Config) { c.CodeTTL = 10*time.Minute + 1 }, false},
		{"negative", func(c *grants.Config) { c.CodeTTL = -time.Second }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := good
			tt.edit(&cfg)
			if e, err := grants.New(cfg); (err == nil) != tt.ok || (e != nil) != tt.ok {
				t.Errorf("New = %v, %v, want ok %v", e, err, tt.ok)
			}
		})
	}
}

func TestIssueCodeStagesGrantAndCode(t *testing.T) {
	f := newFixture(t)
	u := f.memory.begin()
	code, err := f.engine.IssueCode(t.Context(), u, goodCode())
	if err != nil {
		t.Fatalf("IssueCode = %v", err)
	}
	if len(code) != 43 {
		t.Errorf("code has %d characters, want 43 (256 bits)", len(code))
	}
	sum := sha256.Sum256([]byte(code))
	want := store.Code{
		Hash: hex.EncodeToString(sum[:]), GrantID: "grant-1", ClientID: clientID,
		RedirectURI: redirect, RedirectSent: true, Challenge: challenge,
		IssuedAt: start, ExpiresAt: start.Add(time.Minute), KeepUntil: start.Add(24*time.Hour + time.Minute),
	}
	if !reflect.DeepEqual(u.codes, []store.Code{want}) {
		t.Errorf("staged codes = %+v, want %+v", u.codes, want)
	}
	if !reflect.DeepEqual(u.grants, []store.Grant{goodGrant()}) {
		t.Errorf("staged grants = %+v, want %+v", u.grants, goodGrant())
	}
	if staged := fmt.Sprintf("%+v", u); strings.Contains(staged, code) {
		t.Error("the code itself reached the store")
	}
	again, err := f.engine.IssueCode(t.Context(), f.memory.begin(), goodCode())
	if err != nil || again == code {
		t.Errorf("second IssueCode = %q, %v, want another code", again, err)
	}
}

// refuseIssue checks that a request is refused and leaves nothing.
func refuseIssue(t *testing.T, r grants.CodeRequest, want broker.Reason) {
	t.Helper()
	f := newFixture(t)
	u := f.memory.begin()
	code, err := f.engine.IssueCode(t.Context(), u, r)
	wantReason(t, "IssueCode", err, want)
	if code != "" || !u.Empty() {
		t.Errorf("IssueCode = %q and staged %+v, want nothing", code, u)
	}
}

func TestIssueCodeRefuses(t *testing.T) {
	tests := []struct {
		name string
		edit func(*grants.CodeRequest)
	}{
		{"grant of another client", func(r *grants.CodeRequest) { r.Grant.ClientID = "https://other.example/m" }},
		{"no client", func(r *grants.CodeRequest) { r.Grant.ClientID, r.Client.ID = "", "" }},
		{"another incarnation", func(r *grants.CodeRequest) { r.Client.Incarnation++ }},
		{"another redirect", func(r *grants.CodeRequest) { r.RedirectURI += "/x" }},
		{"no grant id", func(r *grants.CodeRequest) { r.Grant.ID = "" }},
		{"no subject", func(r *grants.CodeRequest) { r.Grant.User.Sub = "" }},
		{"no auth method", func(r *grants.CodeRequest) { r.Grant.AuthMethod = "" }},
		{"no resource", func(r *grants.CodeRequest) { r.Grant.Resources = nil }},
		{"expired grant", func(r *grants.CodeRequest) { r.Grant.ExpiresAt = start }},
		{"ended grant", func(r *grants.CodeRequest) { r.Grant.EndedAt = start }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := goodCode()
			tt.edit(&r)
			refuseIssue(t, r, broker.ReasonServerTrouble)
		})
	}
}

func TestTrap03ChallengeForm(t *testing.T) {
	for _, bad := range []string{
		"", "abcde", challenge[:42], challenge + "A", challenge + "=",
		challenge[:42] + "+", challenge[:42] + "/", challenge[:42] + " ", challenge[:20] + "\n" + challenge[21:],
		challenge[:41] + "é", verifier[:42] + "~",
	} {
		t.Run(bad, func(t *testing.T) {
			r := goodCode()
			r.Challenge = bad
			refuseIssue(t, r, broker.ReasonPKCERequired)
		})
	}
}

func TestTrap24RedirectTargets(t *testing.T) {
	for uri, ok := range map[string]bool{
		"https://client.example/callback":  true,
		"http://127.0.0.1:54321/callback":  true,
		"http://localhost:54321/callback":  true,
		"http://[::1]/callback":            true,
		"com.example.app:/callback":        true,
		"javascript:alert(1)":              false,
		"data:text/html,x":                 false,
		"http://client.example/callback":   false,
		"http://user@127.0.0.1:1/callback": false,
		"https://client.example/cb#f":      false,
		"myapp:/callback":                  false,
		"/callback":                        false,
		"https://client.example/%zz":       false,
		"":                                 false,
	} {
		t.Run(uri, func(t *testing.T) {
			r := goodCode()
			r.RedirectURI, r.Grant.RedirectURI = uri, uri
			if !ok {
				refuseIssue(t, r, broker.ReasonRedirectMismatch)
				return
			}
			f := newFixture(t)
			code := f.issue(r)
			x := goodExchange(code)
			x.RedirectURI = &uri
			if _, err := f.exchange(x, goodTerms()); err != nil {
				t.Errorf("exchange = %v", err)
			}
		})
	}
}

func TestTrap29CodeLifeIsSixtySeconds(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		want  broker.Reason // empty: accepted
	}{
		{time.Minute - 1, ""},
		{time.Minute, broker.ReasonCodeUnknown},
		{15 * time.Minute, broker.ReasonCodeUnknown},
	} {
		t.Run(tt.after.String(), func(t *testing.T) {
			f := newFixture(t)
			x := goodExchange(f.issue(goodCode()))
			f.clock.add(tt.after)
			_, err := f.exchange(x, goodTerms())
			if tt.want == "" && err != nil {
				t.Errorf("exchange = %v", err)
			}
			if tt.want != "" {
				wantReason(t, "exchange", err, tt.want)
			}
		})
	}
}

func TestCodeExpiresWhilePolicyIsAsked(t *testing.T) {
	f := newFixture(t)
	x := goodExchange(f.issue(goodCode()))
	p, err := f.check(x)
	if err != nil {
		t.Fatalf("Check = %v", err)
	}
	f.clock.add(time.Minute)
	u := f.memory.begin()
	_, err = f.engine.Redeem(t.Context(), u, x, p, goodClient(), goodTerms())
	wantReason(t, "Redeem", err, broker.ReasonCodeUnknown)
	if !u.Empty() {
		t.Errorf("Redeem staged %+v, want nothing", u)
	}
}
