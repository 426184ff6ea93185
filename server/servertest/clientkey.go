package servertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"guestlist/broker"
)

// AssertionType is the client_assertion_type of RFC 7523.
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// ClientKey is the key pair of a client.
type ClientKey struct {
	// Alg signs: ES256, ES384, RS256, PS256 or EdDSA.
	Alg string
	// KeyID is its kid.
	KeyID string

	t       testing.TB
	private crypto.Signer
}

// NewClientKey makes a key pair.
func NewClientKey(t testing.TB, alg, kid string) *ClientKey {
	t.Helper()
	k := &ClientKey{Alg: alg, KeyID: kid, t: t}
	var err error
	switch alg {
	case "ES256":
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		k.private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "RS256", "PS256":
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no client key for %s", alg)
	}
	check(t, err)
	return k
}

// KeySet is the JWK Set of the public halves.
func KeySet(keys ...*ClientKey) json.RawMessage {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.KeyID})
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return b
}

// Sign makes a JWT of claims. header is added to alg and kid.
func (k *ClientKey) Sign(header, claims map[string]any) string {
	k.t.Helper()
	opts := &jose.SignerOptions{}
	for name, v := range header {
		opts.WithHeader(jose.HeaderKey(name), v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(k.Alg), Key: jose.JSONWebKey{Key: k.private, KeyID: k.KeyID}}, opts)
	check(k.t, err)
	payload, err := json.Marshal(claims)
	check(k.t, err)
	jws, err := signer.Sign(payload)
	check(k.t, err)
	token, err := jws.CompactSerialize()
	check(k.t, err)
	return token
}

// Assertion is a client assertion of a client that does all right; changes
// replace or, with nil, remove claims.
func (s *Server) Assertion(k *ClientKey, clientID string, header, changes map[string]any) string {
	s.t.Helper()
	now := s.Clock.Now()
	claims := map[string]any{
		"iss": clientID, "sub": clientID, "aud": s.Issuer, "jti": broker.NewID(),
		"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for name, v := range changes {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	return k.Sign(header, claims)
}

// Asserted are the parameters of a good assertion.
func (s *Server) Asserted(k *ClientKey, clientID string) url.Values {
	s.t.Helper()
	return url.Values{"client_assertion_type": {AssertionType}, "client_assertion": {s.Assertion(k, clientID, nil, nil)}}
}

// KeyAt returns the key that a jwks_uri serves, from the first call on.
func (s *Server) KeyAt(uri, alg string) *ClientKey {
	s.t.Helper()
	s.keysMu.Lock()
	defer s.keysMu.Unlock()
	k, ok := s.keysFor[uri]
	if !ok {
		if s.keysFor == nil {
			s.keysFor = map[string]*ClientKey{}
		}
		k = NewClientKey(s.t, alg, "served")
		s.keysFor[uri] = k
		s.Docs.Set(uri, Answer{Body: string(KeySet(k))})
	}
	return k
}
