package grants_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/grants"
	"guestlist/store"
)

const (
	issuer   = "https://as.example"
	clientID = "https://client.example/oauth/metadata.json"
	redirect = "https://client.example/callback"
	resource = "https://mcp.example/mcp"
	other    = "https://mcp.example/mcp/other"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	// challenge of verifier, RFC 7636 appendix B.
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

var start = time.Date(2026, 11, 3, 10, 0, 0, 250e6, time.UTC)

// memory is a store of codes and grants with the contract's commit.
type memory struct {
	mu     sync.Mutex
	codes  map[string]store.Code
	grants map[string]store.Grant
	reads  error // what reads fail with
}

func newMemory() *memory {
	return &memory{codes: map[string]store.Code{}, grants: map[string]store.Grant{}}
}

// unit has what this package uses; anything else panics on the nil interface.
type unit struct {
	store.Unit
	m        *memory
	codes    []store.Code
	grants   []store.Grant
	spends   map[string]time.Time
	requires []string
	ended    []string
	touched  map[string]time.Time // grant id to expiry
}

func (m *memory) begin() *unit {
	return &unit{m: m, spends: map[string]time.Time{}, touched: map[string]time.Time{}}
}

func (u *unit) Code(_ context.Context, hash string) (store.Code, bool, error) {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	c, ok := u.m.codes[hash]
	return c, ok, u.m.reads
}

func (u *unit) Grant(_ context.Context, id string) (store.Grant, bool, error) {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	g, ok := u.m.grants[id]
	return g, ok, u.m.reads
}

func (u *unit) PutCode(c store.Code)                             { u.codes = append(u.codes, c) }
func (u *unit) PutGrant(g store.Grant)                           { u.grants = append(u.grants, g) }
func (u *unit) SpendCode(hash string, at time.Time)              { u.spends[hash] = at }
func (u *unit) RequireGrant(id string)                           { u.requires = append(u.requires, id) }
func (u *unit) EndGrant(id string, _ time.Time, _ broker.Reason) { u.ended = append(u.ended, id) }
func (u *unit) TouchGrant(id string, _, expiresAt time.Time)     { u.touched[id] = expiresAt }
func (u *unit) Empty() bool {
	return len(u.codes)+len(u.grants)+len(u.spends)+len(u.requires)+len(u.ended)+len(u.touched) == 0
}

func (m *memory) commit(u *unit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash := range u.spends {
		if c, ok := m.codes[hash]; !ok || !c.SpentAt.IsZero() {
			return broker.ErrSpent
		}
	}
	for _, id := range u.requires {
		if g, ok := m.grants[id]; !ok || !g.EndedAt.IsZero() {
			return broker.ErrConflict
		}
	}
	for hash, at := range u.spends {
		c := m.codes[hash]
		c.SpentAt = at
		m.codes[hash] = c
	}
	for _, id := range u.ended {
		g := m.grants[id]
		g.EndedAt = start
		m.grants[id] = g
	}
	for _, c := range u.codes {
		m.codes[c.Hash] = c
	}
	for _, g := range u.grants {
		m.grants[g.ID] = g
	}
	return nil
}

func (m *memory) snapshot() (map[string]store.Code, map[string]store.Grant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.codes), maps.Clone(m.grants)
}

// clock is a settable time.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// signer signs with ES256, for its cost and its shape.
type signer struct {
	key *ecdsa.PrivateKey
	err error
}

func newSigner(t testing.TB) *signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key: key}
}

func (s *signer) SignJWT(typ string, claims any) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	head, _ := json.Marshal(map[string]string{"alg": "ES256", "typ": typ})
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(input))
	r, sv, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", err
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	sv.FillBytes(sig[32:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// fixture is one engine with its store and clock.
type fixture struct {
	t      testing.TB
	engine *grants.Engine
	memory *memory
	clock  *clock
	signer *signer
}

func newFixture(t testing.TB) *fixture {
	f := &fixture{t: t, memory: newMemory(), clock: &clock{t: start}, signer: newSigner(t)}
	var err error
	f.engine, err = grants.New(grants.Config{Issuer: issuer, Signer: f.signer, Now: f.clock.now})
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	return f
}

func goodClient() broker.Client { return broker.Client{ID: clientID, Incarnation: 7} }

func goodGrant() store.Grant {
	return store.Grant{
		ID: "grant-1", ClientID: clientID, Incarnation: 7, Subject: "alice",
		User: broker.UserInput{
			Sub: "sub-alice", Groups: []string{"eng"}, AuthTime: start.Add(-time.Minute),
			Claims: map[string]any{"email": "alice@corp.example"},
		},
		RedirectURI: redirect, Scopes: []string{"mcp:read", "mcp:write", "offline_access"},
		Resources: []string{resource}, AuthMethod: "none",
		CreatedAt: start, ExpiresAt: start.Add(48 * time.Hour),
	}
}

func goodCode() grants.CodeRequest {
	return grants.CodeRequest{
		RequestID: "req-1", Client: goodClient(), Grant: goodGrant(),
		RedirectURI: redirect, RedirectSent: true, Challenge: challenge,
	}
}

func goodTerms() grants.Terms {
	return grants.Terms{Scopes: []string{"mcp:read"}, Resources: []string{resource}, AccessTTL: 5 * time.Minute, Format: "jwt"}
}

func goodExchange(code string) grants.Exchange {
	uri := redirect
	return grants.Exchange{
		RequestID: "req-2", Auth: grants.ClientAuth{ClientID: clientID, Method: "none"},
		Code: code, Verifier: verifier, RedirectURI: &uri,
	}
}

// issue issues and commits the code of r.
func (f *fixture) issue(r grants.CodeRequest) string {
	f.t.Helper()
	u := f.memory.begin()
	code, err := f.engine.IssueCode(f.t.Context(), u, r)
	if err != nil {
		f.t.Fatalf("IssueCode = %v", err)
	}
	if err := f.memory.commit(u); err != nil {
		f.t.Fatalf("commit = %v", err)
	}
	return code
}

// exchange checks, redeems and commits.
func (f *fixture) exchange(x grants.Exchange, t grants.Terms) (grants.Token, error) {
	u := f.memory.begin()
	p, err := f.engine.Check(f.t.Context(), u, x)
	if err != nil {
		return grants.Token{}, err
	}
	token, err := f.engine.Redeem(f.t.Context(), u, x, p, goodClient(), t)
	if err != nil {
		return grants.Token{}, err
	}
	return token, f.memory.commit(u)
}

// check runs Check and fails the test if it staged anything.
func (f *fixture) check(x grants.Exchange) (grants.Pending, error) {
	f.t.Helper()
	u := f.memory.begin()
	p, err := f.engine.Check(f.t.Context(), u, x)
	if !u.Empty() {
		f.t.Errorf("Check staged %+v, want nothing", u)
	}
	return p, err
}

// wantReason checks that err is a *broker.Error with that reason.
func wantReason(t testing.TB, what string, err error, want broker.Reason) {
	t.Helper()
	var e *broker.Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Errorf("%s = %v, want reason %s", what, err, want)
	}
}

// decode returns a part of a compact JWS.
func decode(t testing.TB, token string, part int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("token has %d parts, want 3", len(parts))
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
