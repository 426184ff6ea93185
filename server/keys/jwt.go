package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// rsaBits is the size of a fresh RSA key; smaller ones are refused.
const rsaBits = 2048

// rsaMaxBits keeps a key file from making every signature dear.
const rsaMaxBits = 4096

func freshES256() (entry, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return entry{}, err
	}
	return freshSigning(algES256, private)
}

func freshRS256() (entry, error) {
	private, err := rsa.GenerateKey(rand.Reader, rsaBits)
	if err != nil {
		return entry{}, err
	}
	return freshSigning(algRS256, private)
}

func freshSigning(algorithm string, private crypto.Signer) (entry, error) {
	jwk := jose.JSONWebKey{Key: private}
	id, err := thumbprint(jwk)
	return entry{ID: id, Algorithm: algorithm, Key: jwk}, err
}

// thumbprint is the key id of RFC 7638 (SHA-256, base64url).
func thumbprint(jwk jose.JSONWebKey) (string, error) {
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

// buildSigning is the set of the signing keys. It always has ES256.
func buildSigning(entries []entry) (*set, error) {
	return newSet(entries, algES256, func(key *key) error {
		public, err := publicHalf(key.entry)
		if err != nil {
			return err
		}
		if id, err := thumbprint(key.Key); err != nil || id != key.ID {
			return fmt.Errorf("key id %q is not the thumbprint of its key", key.ID)
		}
		key.jwk, err = json.Marshal(jose.JSONWebKey{Key: public, KeyID: key.ID, Algorithm: key.Algorithm, Use: "sig"})
		return err
	})
}

// publicHalf checks that an entry is a key pair of its algorithm whose halves
// belong together; of an RSA key the decoder has checked the latter.
func publicHalf(e entry) (crypto.PublicKey, error) {
	unfit := fmt.Errorf("key %q is not a private key for %s", e.ID, e.Algorithm)
	switch private := e.Key.Key.(type) {
	case *ecdsa.PrivateKey:
		if e.Algorithm != algES256 || private.Curve != elliptic.P256() {
			return nil, unfit
		}
		raw, err := private.Bytes()
		if err != nil {
			return nil, unfit
		}
		derived, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
		if err != nil || !derived.PublicKey.Equal(&private.PublicKey) {
			return nil, fmt.Errorf("the halves of key %q do not belong together", e.ID)
		}
		return &private.PublicKey, nil
	case *rsa.PrivateKey:
		if bits := private.N.BitLen(); e.Algorithm != algRS256 || bits < rsaBits || bits > rsaMaxBits {
			return nil, unfit
		}
		return &private.PublicKey, nil
	}
	return nil, unfit
}

// JWKS is the public JSON Web Key Set (RFC 7517) of the signing keys that are
// not gone, published and retired ones included, in the order of the key file.
// The caller owns the returned bytes.
func (k *Keys) JWKS() []byte {
	now := k.cfg.Now()
	out := []byte(`{"keys":[`)
	for _, key := range k.signing.current(now).keys {
		if key.gone(now) {
			continue
		}
		if out[len(out)-1] == '}' {
			out = append(out, ',')
		}
		out = append(out, key.jwk...)
	}
	return append(out, "]}"...)
}

// SignJWT is SignJWTWith for ES256, which every key directory has.
func (k *Keys) SignJWT(typ string, claims any) (string, error) {
	return k.SignJWTWith(algES256, typ, claims)
}

// SignJWTWith signs claims with the key in use for alg, "ES256" or "RS256", and
// returns a compact JWS whose header has exactly alg, kid and typ. Without a key
// for RS256 it is an error: see Config.RS256. typ is required: it keeps a token
// of one kind from being taken for another (RFC 8725 section 3.11). claims must
// marshal to a JSON object; which members it has is the caller's business.
func (k *Keys) SignJWTWith(alg, typ string, claims any) (string, error) {
	if alg != algES256 && alg != algRS256 {
		return "", fmt.Errorf("sign token: algorithm %.20q: want %s or %s", alg, algES256, algRS256)
	}
	if typ == "" {
		return "", errors.New("sign token: no typ given")
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign token: encode claims: %w", err)
	}
	if !bytes.HasPrefix(payload, []byte("{")) {
		return "", errors.New("sign token: claims are not a JSON object")
	}
	key, err := k.signing.inUse(alg)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(alg),
		Key:       jose.JSONWebKey{Key: key.Key.Key, KeyID: key.ID},
	}, new(jose.SignerOptions).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return jws.CompactSerialize()
}

// VerifyJWT returns the payload of a compact JWS that any key of the set that
// is not gone signed. The header must name that key by kid, its algorithm, and exactly typ
// (no "application/" prefix, no other case). Keys carried in the header are
// ignored, critical extensions refused.
//
// VerifyJWT checks no claim: issuer, audience and expiry are the caller's
// business. Errors never quote the token.
func (k *Keys) VerifyJWT(token, typ string) (claims []byte, err error) {
	if typ == "" {
		return nil, errors.New("verify token: no typ given")
	}
	if !isCompact(token) {
		return nil, errors.New("verify token: not a compact JWS")
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		return nil, errors.New("verify token: not a compact JWS signed with " + algES256 + " or " + algRS256)
	}
	header := jws.Signatures[0].Protected
	if got, ok := header.ExtraHeaders[jose.HeaderType].(string); !ok || got != typ {
		return nil, fmt.Errorf("verify token: typ is not %s", typ)
	}
	key := k.signing.usable(header.KeyID)
	if key == nil {
		return nil, errors.New("verify token: kid is not a key of this server")
	}
	if header.Algorithm != key.Algorithm { // the library compares only the kinds of keys
		return nil, errors.New("verify token: alg is not the one of the key")
	}
	claims, err = jws.Verify(key.Key.Key.(crypto.Signer).Public())
	if err != nil {
		return nil, errors.New("verify token: the signature does not match")
	}
	return claims, nil
}

// isCompact reports whether a token is made of base64url parts and nothing
// else; the library overlooks line breaks.
func isCompact(token string) bool {
	for part := range strings.SplitSeq(token, ".") {
		if _, err := decodeBase64(part); err != nil {
			return false
		}
	}
	return true
}
