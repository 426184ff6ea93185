package grants_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
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

// memory is a store of codes, grants and tokens with the contract's commit.
type memory struct {
	mu      sync.Mutex
	codes   map[string]store.Code
	grants  map[string]store.Grant
	refresh map[string]store.Refresh
	access  map[string]store.Access
	clients map[string]broker.Client
	marks   map[string]time.Time // spent assertions
	reads   error                // what reads fail with
}

func newMemory() *memory {
	return &memory{
		codes: map[string]store.Code{}, grants: map[string]store.Grant{},
		refresh: map[string]store.Refresh{}, access: map[string]store.Access{},
		clients: map[string]broker.Client{}, marks: map[string]time.Time{},
	}
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
	reasons  []broker.Reason
	touched  map[string]time.Time // grant id to expiry

	refreshes []store.Refresh
	uses      map[string]store.RefreshUse
	repeats   map[string]int // hash to the bound
	repeatAt  time.Time
	closes    []string
	accesses  []store.Access
	endAccess []string
	binds     map[string]string    // grant id to method
	marks     map[string]time.Time // assertions to spend
}

func (m *memory) begin() *unit {
	return &unit{
		m: m, spends: map[string]time.Time{}, touched: map[string]time.Time{},
		uses: map[string]store.RefreshUse{}, repeats: map[string]int{},
		binds: map[string]string{}, marks: map[string]time.Time{},
	}
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

func (u *unit) Refresh(_ context.Context, hash string) (store.Refresh, bool, error) {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	r, ok := u.m.refresh[hash]
	return r, ok, u.m.reads
}

func (u *unit) Access(_ context.Context, key string) (store.Access, bool, error) {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	a, ok := u.m.access[key]
	return a, ok, u.m.reads
}

func (u *unit) Client(_ context.Context, id string) (broker.Client, bool, error) {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	c, ok := u.m.clients[id]
	return c, ok, u.m.reads
}

func (u *unit) Spent(_ context.Context, kind store.SpendKind, key string) (bool, error) {
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	_, ok := u.m.marks[string(kind)+" "+key]
	return ok, u.m.reads
}

func (u *unit) Spend(kind store.SpendKind, key string, until time.Time) {
	u.marks[string(kind)+" "+key] = until
}
func (u *unit) BindGrant(id, method string)         { u.binds[id] = method }
func (u *unit) PutCode(c store.Code)                { u.codes = append(u.codes, c) }
func (u *unit) PutGrant(g store.Grant)              { u.grants = append(u.grants, g) }
func (u *unit) SpendCode(hash string, at time.Time) { u.spends[hash] = at }
func (u *unit) RequireGrant(id string)              { u.requires = append(u.requires, id) }
func (u *unit) EndGrant(id string, _ time.Time, reason broker.Reason) {
	u.ended, u.reasons = append(u.ended, id), append(u.reasons, reason)
}
func (u *unit) TouchGrant(id string, _, expiresAt time.Time)   { u.touched[id] = expiresAt }
func (u *unit) PutRefresh(r store.Refresh)                     { u.refreshes = append(u.refreshes, r) }
func (u *unit) SpendRefresh(hash string, use store.RefreshUse) { u.uses[hash] = use }
func (u *unit) RepeatRefresh(hash string, at time.Time, bound int) {
	u.repeats[hash], u.repeatAt = bound, at
}
func (u *unit) CloseGrace(hash string)            { u.closes = append(u.closes, hash) }
func (u *unit) PutAccess(a store.Access)          { u.accesses = append(u.accesses, a) }
func (u *unit) EndAccess(key string, _ time.Time) { u.endAccess = append(u.endAccess, key) }
func (u *unit) Empty() bool {
	return len(u.codes)+len(u.grants)+len(u.spends)+len(u.requires)+len(u.ended)+len(u.touched)+len(u.refreshes)+
		len(u.uses)+len(u.repeats)+len(u.closes)+len(u.accesses)+len(u.endAccess)+len(u.binds)+len(u.marks) == 0
}

// precondition is what the commit of u fails with.
func (m *memory) precondition(u *unit) error {
	for hash := range u.spends {
		if c, ok := m.codes[hash]; !ok || !c.SpentAt.IsZero() {
			return broker.ErrSpent
		}
	}
	for hash := range u.uses {
		if r, ok := m.refresh[hash]; !ok || !r.SpentAt.IsZero() {
			return broker.ErrSpent
		}
	}
	for _, id := range u.requires {
		if g, ok := m.grants[id]; !ok || !g.EndedAt.IsZero() {
			return broker.ErrConflict
		}
	}
	for hash, bound := range u.repeats {
		r := m.refresh[hash]
		if r.SpentAt.IsZero() || !u.repeatAt.Before(r.GraceUntil) || len(r.Answer) == 0 || r.Repeats >= bound {
			return broker.ErrConflict
		}
	}
	for _, r := range u.refreshes {
		if _, ok := m.refresh[r.Hash]; ok {
			return broker.ErrConflict
		}
	}
	for _, a := range u.accesses {
		if _, ok := m.access[a.Key]; ok {
			return broker.ErrConflict
		}
	}
	return nil
}

func (m *memory) commit(u *unit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.precondition(u); err != nil {
		return err
	}
	for hash, at := range u.spends {
		c := m.codes[hash]
		c.SpentAt = at
		m.codes[hash] = c
	}
	for id, until := range u.touched {
		if g := m.grants[id]; g.EndedAt.IsZero() && until.After(g.ExpiresAt) {
			g.ExpiresAt = until
			m.grants[id] = g
		}
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
	m.apply(u)
	return nil
}

// apply writes the tokens of u.
func (m *memory) apply(u *unit) {
	for hash, use := range u.uses {
		r := m.refresh[hash]
		r.SpentAt, r.Successor, r.Answer, r.GraceUntil, r.Source = use.At, use.Successor, use.Answer, use.GraceUntil, use.Source
		if use.KeepUntil.After(r.KeepUntil) {
			r.KeepUntil = use.KeepUntil
		}
		m.refresh[hash] = r
	}
	for hash := range u.repeats {
		r := m.refresh[hash]
		r.Repeats++
		m.refresh[hash] = r
	}
	for _, hash := range u.closes {
		if r, ok := m.refresh[hash]; ok {
			r.Answer = nil
			m.refresh[hash] = r
		}
	}
	for _, r := range u.refreshes {
		m.refresh[r.Hash] = r
	}
	for _, a := range u.accesses {
		m.access[a.Key] = a
	}
	for _, key := range u.endAccess {
		if a, ok := m.access[key]; ok && a.EndedAt.IsZero() {
			a.EndedAt = start
			m.access[key] = a
		}
	}
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

// signer signs with ES256 and RS256, for their cost and their shape, and
// verifies with every key it ever had.
type signer struct {
	current int
	keys    []*ecdsa.PrivateKey
	rsa     *rsa.PrivateKey
	err     error
}

// rsaKey is dear to make.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newSigner(t testing.TB) *signer {
	s := &signer{}
	s.rotate(t)
	return s
}

// rotate makes a new key the one that signs.
func (s *signer) rotate(t testing.TB) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.current, s.keys = len(s.keys), append(s.keys, key)
}

func (s *signer) SignJWTWith(alg, typ string, claims any) (string, error) {
	if s.err != nil {
		return "", s.err
	}
	head, _ := json.Marshal(map[string]any{"alg": alg, "typ": typ, "kid": s.current})
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(input))
	sig, err := s.sign(alg, sum[:])
	return input + "." + base64.RawURLEncoding.EncodeToString(sig), err
}

func (s *signer) sign(alg string, sum []byte) ([]byte, error) {
	switch alg {
	case "RS256":
		return rsa.SignPKCS1v15(rand.Reader, rsaKey(), crypto.SHA256, sum)
	case "ES256":
		r, sv, err := ecdsa.Sign(rand.Reader, s.keys[s.current], sum)
		if err != nil {
			return nil, err
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		sv.FillBytes(sig[32:])
		return sig, nil
	}
	return nil, errors.New("no key for " + alg)
}

func (s *signer) VerifyJWT(token, typ string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a JWS")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(part); err != nil {
			return nil, err
		}
	}
	var head struct {
		Alg, Typ string
		Kid      int
	}
	if err := json.Unmarshal(raw[0], &head); err != nil || head.Typ != typ || head.Kid >= len(s.keys) {
		return nil, errors.New("header")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch {
	case head.Alg == "RS256" && rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA256, sum[:], raw[2]) == nil:
	case head.Alg == "ES256" && len(raw[2]) == 64 && ecdsa.Verify(&s.keys[head.Kid].PublicKey, sum[:],
		new(big.Int).SetBytes(raw[2][:32]), new(big.Int).SetBytes(raw[2][32:])):
	default:
		return nil, errors.New("signature")
	}
	return raw[1], nil
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

// hashHex is what the store sees of a secret.
func hashHex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
