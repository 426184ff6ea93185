package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeIssuer publishes metadata and keys, and signs what it is told to.
type fakeIssuer struct {
	*httptest.Server
	mu      sync.Mutex
	down    bool
	called  string // the issuer that the metadata names
	keys    []jose.JSONWebKey
	fetches int // of the key set
}

func newFakeIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", f.metadata)
	mux.HandleFunc("GET /jwks", f.jwks)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	f.called = f.URL
	return f
}

func (f *fakeIssuer) metadata(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"issuer": f.called, "authorization_endpoint": f.URL + "/authorize", "token_endpoint": f.URL + "/token", "jwks_uri": f.URL + "/jwks",
		"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

func (f *fakeIssuer) jwks(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fetches++
	json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: f.keys})
}

// set changes the issuer between requests.
func (f *fakeIssuer) set(change func(*fakeIssuer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// publish adds a new key to the set and returns its private half.
func (f *fakeIssuer) publish(t *testing.T, id string) *ecdsa.PrivateKey {
	t.Helper()
	key := newKey(t)
	f.set(func(f *fakeIssuer) {
		f.keys = append(f.keys, jose.JSONWebKey{Key: &key.PublicKey, KeyID: id, Algorithm: "ES256", Use: "sig"})
	})
	return key
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// token is an access token before it is signed.
type token struct {
	alg    jose.SignatureAlgorithm
	key    any
	header map[jose.HeaderKey]any
	claims map[string]any
}

// goodToken is one that the resource accepts.
func goodToken(key any, issuer, resource string, now time.Time) token {
	return token{
		alg: jose.ES256, key: key, header: map[jose.HeaderKey]any{"typ": "at+jwt", "kid": "k1"},
		claims: map[string]any{
			"iss": issuer, "aud": resource, "sub": "alice", "client_id": "https://client.example/oauth/client.json",
			"scope": "mcp:read mcp:write", "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": "1",
		},
	}
}

// sign makes the compact form. Without a key it is unsigned (alg none).
func (tok token) sign(t *testing.T) string {
	t.Helper()
	payload, err := json.Marshal(tok.claims)
	if err != nil {
		t.Fatal(err)
	}
	if tok.key == nil {
		tok.header["alg"] = "none"
		header, err := json.Marshal(tok.header)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: tok.alg, Key: tok.key}, &jose.SignerOptions{ExtraHeaders: tok.header})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}
