package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// signingSet holds the signing keys: the active one, and the public halves of
// all by key id.
type signingSet struct {
	active jose.SigningKey
	public map[string]*ecdsa.PublicKey
}

func freshSigning() (entry, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return entry{}, err
	}
	jwk := jose.JSONWebKey{Key: private}
	id, err := thumbprint(jwk)
	return entry{ID: id, Algorithm: algES256, Key: jwk}, err
}

// thumbprint is the key id of RFC 7638 (SHA-256, base64url).
func thumbprint(jwk jose.JSONWebKey) (string, error) {
	sum, err := jwk.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(sum), err
}

func (k *Keys) useSigning(entries []entry) error {
	set := jose.JSONWebKeySet{}
	k.signing.public = map[string]*ecdsa.PublicKey{}
	for _, e := range entries {
		private, err := signingKey(e)
		if err != nil {
			return err
		}
		if e.State == stateActive {
			k.signing.active = jose.SigningKey{
				Algorithm: jose.ES256,
				Key:       jose.JSONWebKey{Key: private, KeyID: e.ID},
			}
		}
		k.signing.public[e.ID] = &private.PublicKey
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &private.PublicKey, KeyID: e.ID, Algorithm: algES256, Use: "sig"})
	}
	var err error
	k.jwks, err = json.Marshal(set)
	return err
}

// signingKey checks that an entry is a P-256 key pair whose halves belong
// together and whose id is its thumbprint.
func signingKey(e entry) (*ecdsa.PrivateKey, error) {
	private, ok := e.Key.Key.(*ecdsa.PrivateKey)
	if e.Algorithm != algES256 || !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("key %q is not a private key for %s", e.ID, algES256)
	}
	raw, err := private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("key %q is not a private key for %s", e.ID, algES256)
	}
	derived, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil || !derived.PublicKey.Equal(&private.PublicKey) {
		return nil, fmt.Errorf("the halves of key %q do not belong together", e.ID)
	}
	if id, err := thumbprint(e.Key); err != nil || id != e.ID {
		return nil, fmt.Errorf("key id %q is not the thumbprint of its key", e.ID)
	}
	return private, nil
}

// SignJWT signs claims with the active key and returns a compact JWS whose
// header has exactly alg ES256, kid and typ. typ is required: it keeps a token
// of one kind from being taken for another (RFC 8725 section 3.11). claims must
// marshal to a JSON object; which members it has is the caller's business.
func (k *Keys) SignJWT(typ string, claims any) (string, error) {
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
	options := new(jose.SignerOptions).WithType(jose.ContentType(typ))
	signer, err := jose.NewSigner(k.signing.active, options)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return jws.CompactSerialize()
}

// VerifyJWT returns the payload of a compact JWS that any key of the set
// signed. The header must name that key by kid, its algorithm, and exactly typ
// (no "application/" prefix, no other case). Keys carried in the header are
// ignored, critical extensions refused.
//
// VerifyJWT checks no claim: issuer, audience and expiry are the caller's
// business. Errors never quote the token.
func (k *Keys) VerifyJWT(token, typ string) (claims []byte, err error) {
	if typ == "" {
		return nil, errors.New("verify token: no typ given")
	}
	for part := range strings.SplitSeq(token, ".") {
		if _, err := decodeBase64(part); err != nil {
			return nil, errors.New("verify token: not a compact JWS")
		}
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return nil, errors.New("verify token: not a compact JWS signed with " + algES256)
	}
	header := jws.Signatures[0].Protected
	if got, ok := header.ExtraHeaders[jose.HeaderType].(string); !ok || got != typ {
		return nil, fmt.Errorf("verify token: typ is not %s", typ)
	}
	public, ok := k.signing.public[header.KeyID]
	if !ok {
		return nil, errors.New("verify token: kid is not a key of this server")
	}
	claims, err = jws.Verify(public)
	if err != nil {
		return nil, errors.New("verify token: the signature does not match")
	}
	return claims, nil
}
