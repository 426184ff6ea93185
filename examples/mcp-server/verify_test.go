package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/modelcontextprotocol/go-sdk/auth"
)

const testResource = "http://127.0.0.1:9000/mcp"

// at is when verification happens in these tests.
func at() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

func newVerifier(issuer string, now func() time.Time) *verifier {
	return &verifier{issuer: issuer, resource: testResource, now: now, log: io.Discard, keys: newKeyring(issuer, now)}
}

// TestVerify holds X13 (RFC 9068 section 4) from the resource's side.
func TestVerify(t *testing.T) {
	issuer := newFakeIssuer(t)
	key := issuer.publish(t, "k1")
	other := issuer.publish(t, "k2")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	published := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	tests := []struct {
		name   string
		change func(*token)
		want   string // refusal; empty: accepted
	}{
		{"good", func(*token) {}, ""},
		{"aud is an array with us", func(k *token) { k.claims["aud"] = []string{"https://else.example/", testResource} }, ""},
		{"long typ", func(k *token) { k.header["typ"] = "application/at+jwt" }, ""},
		{"expired within the leeway", func(k *token) { k.claims["exp"] = at().Add(-leeway).Unix() }, ""},
		{"second key", func(k *token) { k.key, k.header["kid"] = other, "k2" }, ""},
		{"wrong aud", func(k *token) { k.claims["aud"] = "http://127.0.0.1:9000/" }, "another resource"},
		{"aud is a prefix", func(k *token) { k.claims["aud"] = testResource + "/sub" }, "another resource"},
		{"no aud", func(k *token) { delete(k.claims, "aud") }, "another resource"},
		{"wrong iss", func(k *token) { k.claims["iss"] = issuer.URL + "/" }, "another issuer"},
		{"no iss", func(k *token) { delete(k.claims, "iss") }, "another issuer"},
		{"expired", func(k *token) { k.claims["exp"] = at().Add(-leeway - time.Second).Unix() }, "expired"},
		{"no exp", func(k *token) { delete(k.claims, "exp") }, "no exp"},
		{"not before later", func(k *token) { k.claims["nbf"] = at().Add(time.Minute).Unix() }, "not valid yet"},
		{"made in the future", func(k *token) { k.claims["iat"] = at().Add(time.Minute).Unix() }, "not valid yet"},
		{"no sub", func(k *token) { delete(k.claims, "sub") }, "sub or client_id"},
		{"no client_id", func(k *token) { delete(k.claims, "client_id") }, "sub or client_id"},
		{"typ JWT", func(k *token) { k.header["typ"] = "JWT" }, "typ is not"},
		{"no typ", func(k *token) { delete(k.header, "typ") }, "typ is not"},
		{"no kid", func(k *token) { delete(k.header, "kid") }, "no kid"},
		{"unknown kid", func(k *token) { k.header["kid"] = "k3" }, "does not publish"},
		{"kid of another key", func(k *token) { k.header["kid"] = "k2" }, "signature"},
		{"other key", func(k *token) { k.key = newKey(t) }, "signature"},
		{"alg none", func(k *token) { k.key = nil }, "not a JWT signed with ES256"},
		{"HS256 with the public key", func(k *token) { k.alg, k.key = jose.HS256, published }, "not a JWT signed with ES256"},
		{"RS256", func(k *token) { k.alg, k.key = jose.RS256, rsaKey }, "not a JWT signed with ES256"},
		{"ES384", func(k *token) { k.alg, k.key = jose.ES384, p384 }, "not a JWT signed with ES256"},
	}
	v := newVerifier(issuer.URL, at)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := goodToken(key, issuer.URL, testResource, at())
			tt.change(&k)
			got, err := v.verify(t.Context(), k.sign(t), nil)
			if tt.want == "" {
				if err != nil {
					t.Fatalf("verify = %v, want no error", err)
				}
				want := &auth.TokenInfo{
					Scopes: []string{"mcp:read", "mcp:write"}, UserID: "alice", Expiration: got.Expiration,
					Extra: map[string]any{"client_id": "https://client.example/oauth/client.json"},
				}
				if !reflect.DeepEqual(got, want) || got.Expiration.IsZero() {
					t.Errorf("verify = %+v, want %+v", got, want)
				}
				return
			}
			if !errors.Is(err, auth.ErrInvalidToken) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("verify = %v, want an invalid token with %q", err, tt.want)
			}
		})
	}
}

func TestVerifyDamaged(t *testing.T) {
	issuer := newFakeIssuer(t)
	key := issuer.publish(t, "k1")
	good := goodToken(key, issuer.URL, testResource, at()).sign(t)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	stranger := goodToken(key, issuer.URL, testResource, at())
	stranger.claims["sub"] = "mallory"
	_, rest, _ = strings.Cut(stranger.sign(t), ".")
	swapped, _, _ := strings.Cut(rest, ".")
	tests := []struct{ name, token string }{
		{"empty", ""},
		{"one part", header},
		{"no signature", header + "." + payload + "."},
		{"signature of another payload", header + "." + swapped + "." + signature},
		{"JSON serialization", `{"payload":"` + payload + `","protected":"` + header + `","signature":"` + signature + `"}`},
	}
	v := newVerifier(issuer.URL, at)
	if _, err := v.verify(t.Context(), good, nil); err != nil {
		t.Fatalf("verify the undamaged token = %v, want no error", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := v.verify(t.Context(), tt.token, nil); !errors.Is(err, auth.ErrInvalidToken) {
				t.Errorf("verify(%q) = %v, want an invalid token", tt.token, err)
			}
		})
	}
}

// TestKeys holds when keys are fetched: late, seldom, and again after trouble.
func TestKeys(t *testing.T) {
	issuer := newFakeIssuer(t)
	key := issuer.publish(t, "k1")
	now := at()
	v := newVerifier(issuer.URL, func() time.Time { return now })
	ask := func(kid string, key *ecdsa.PrivateKey) error {
		k := goodToken(key, issuer.URL, testResource, now)
		k.header["kid"] = kid
		_, err := v.verify(t.Context(), k.sign(t), nil)
		return err
	}
	fetches := func(want int) {
		t.Helper()
		issuer.set(func(f *fakeIssuer) {
			if f.fetches != want {
				t.Errorf("fetches = %d, want %d", f.fetches, want)
			}
		})
	}

	issuer.set(func(f *fakeIssuer) { f.down = true })
	if err := ask("k1", key); err == nil || errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("verify while the issuer is down = %v, want trouble that is not the token's", err)
	}
	issuer.set(func(f *fakeIssuer) { f.down = false })
	for _, other := range []string{"https://other.example", issuer.URL + "/"} {
		issuer.set(func(f *fakeIssuer) { f.called = other })
		if err := ask("k1", key); err == nil || errors.Is(err, auth.ErrInvalidToken) {
			t.Errorf("verify with the metadata of %q = %v, want trouble that is not the token's", other, err)
		}
	}
	fetches(0)
	issuer.set(func(f *fakeIssuer) { f.called = f.URL })
	if err := ask("k1", key); err != nil {
		t.Errorf("verify = %v, want no error", err)
	}
	fetches(1)

	next := issuer.publish(t, "k2")
	if err := ask("k2", next); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("verify with a key published just now = %v, want an invalid token: strangers choose key ids", err)
	}
	fetches(1)
	now = now.Add(keysRetryGap)
	if err := ask("k2", next); err != nil {
		t.Errorf("verify after the gap = %v, want no error", err)
	}
	fetches(2)

	issuer.set(func(f *fakeIssuer) { f.keys = f.keys[1:] })
	now = now.Add(keysFreshFor)
	if err := ask("k1", key); !errors.Is(err, auth.ErrInvalidToken) {
		t.Errorf("verify with a withdrawn key = %v, want an invalid token", err)
	}
	fetches(3)
}

func TestUsable(t *testing.T) {
	key, twin := newKey(t), newKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	got := usable(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &key.PublicKey, KeyID: "good"},
		{Key: &key.PublicKey, KeyID: "encryption", Use: "enc"},
		{Key: &key.PublicKey, KeyID: "other alg", Algorithm: "ES384"},
		{Key: &p384.PublicKey, KeyID: "other curve"},
		{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "secret"},
		{Key: &key.PublicKey, KeyID: "twice"},
		{Key: &twin.PublicKey, KeyID: "twice"},
	}})
	if len(got) != 1 || got["good"] == nil {
		t.Errorf("usable = %v, want the good key only", got)
	}
}
