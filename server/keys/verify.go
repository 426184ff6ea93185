package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// ErrNoKey says that no key of the set made the signature: none has the kid,
// none fits the algorithm, or none verifies. A newer set may have one.
var ErrNoKey = errors.New("no key of the set made the signature")

// maxCandidates is how many keys are tried for one signature.
const maxCandidates = 4

// Header is what the signed header of a foreign token says.
type Header struct {
	// Algorithm is one of those that VerifyWith was given.
	Algorithm string
	// KeyID is kid, or empty.
	KeyID string
	// Type is typ as sent, or empty when absent.
	Type string
	// Thumbprint is that of the key that made the signature (RFC 7638). Empty
	// from ReadHeader.
	Thumbprint string
}

// VerifyWith checks the signature of somebody else's token, a compact JWS,
// with the keys of jwks, a JWK Set of public keys, and returns its header and
// payload. algs are the algorithms that count, of ES256, ES384, RS256, PS256
// and EdDSA; a key must fit the algorithm by kind and curve, and by alg, use
// and kid where key or header name them. At most four keys are tried. Keys
// carried in the header are ignored, critical extensions refused, and so are
// characters beside base64url.
//
// VerifyWith checks no claim and not what typ is. It wraps ErrNoKey when
// another set might do. Errors never quote the token.
func VerifyWith(jwks []byte, algs []string, token string) (Header, []byte, error) {
	jws, h, err := parseForeign(algs, token)
	if err != nil {
		return Header{}, nil, err
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		return Header{}, nil, errors.New("verify token: the key set cannot be read")
	}
	tried := 0
	for _, key := range set.Keys {
		if !fits(key, h) {
			continue
		}
		if tried++; tried > maxCandidates {
			break
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			h.Thumbprint, err = thumbprint(key)
			return h, payload, err
		}
	}
	return Header{}, nil, ErrNoKey
}

// ReadHeader returns the header of somebody else's token, on the conditions of
// VerifyWith and without any proof of who made it: what it refuses no key can
// make good.
func ReadHeader(algs []string, token string) (Header, error) {
	_, h, err := parseForeign(algs, token)
	return h, err
}

// parseForeign takes a token apart without a key.
func parseForeign(algs []string, token string) (*jose.JSONWebSignature, Header, error) {
	if !isCompact(token) {
		return nil, Header{}, errors.New("verify token: not a compact JWS")
	}
	allowed := make([]jose.SignatureAlgorithm, len(algs))
	for i, a := range algs {
		allowed[i] = jose.SignatureAlgorithm(a)
	}
	jws, err := jose.ParseSignedCompact(token, allowed)
	if err != nil {
		return nil, Header{}, errors.New("verify token: not a compact JWS with one of the algorithms that count")
	}
	protected := jws.Signatures[0].Protected
	h := Header{Algorithm: protected.Algorithm, KeyID: protected.KeyID}
	if typ, present := protected.ExtraHeaders[jose.HeaderType]; present {
		s, isText := typ.(string)
		if !isText || s == "" {
			return nil, Header{}, errors.New("verify token: typ is not a text")
		}
		h.Type = s
	}
	if _, critical := protected.ExtraHeaders["crit"]; critical {
		return nil, Header{}, errors.New("verify token: the header has critical extensions")
	}
	return jws, h, nil
}

// fits reports whether a key may have made a signature with that header.
func fits(key jose.JSONWebKey, h Header) bool {
	if h.KeyID != "" && key.KeyID != h.KeyID || key.Algorithm != "" && key.Algorithm != h.Algorithm || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *ecdsa.PublicKey:
		return h.Algorithm == "ES256" && public.Curve == elliptic.P256() || h.Algorithm == "ES384" && public.Curve == elliptic.P384()
	case *rsa.PublicKey:
		return (h.Algorithm == "RS256" || h.Algorithm == "PS256") && public.N.BitLen() >= rsaBits
	case ed25519.PublicKey:
		return h.Algorithm == "EdDSA"
	}
	return false
}
