package cimd

import (
	"crypto/ecdh"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
)

var (
	// privateJWKMembers hold private or symmetric key material (RFC 7518
	// section 6).
	privateJWKMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
	// publicJWKMembers are kept; x5u, a URL, is not among them.
	publicJWKMembers = []string{"kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e"}

	rsaAlgs = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	edAlgs  = []string{"EdDSA", "Ed25519"}
	ecAlgs  = map[string][]string{"P-256": {"ES256"}, "P-384": {"ES384"}, "P-521": {"ES512"}}
)

// isSignatureAlg reports whether a key of a supported kind can sign so.
func isSignatureAlg(alg string) bool {
	for _, algs := range ecAlgs {
		if slices.Contains(algs, alg) {
			return true
		}
	}
	return slices.Contains(rsaAlgs, alg) || slices.Contains(edAlgs, alg)
}

// keys holds D9, D20 and the rules on jwks_uri (F11, Q10). Private keys come
// first: they are worth an alarm even in a document that is wrong otherwise.
func (r *reader) keys() *Error {
	jwks, hasJWKS := r.members["jwks"]
	if where := findPrivate(jwks); where != "" {
		return &Error{reasonPrivateKey, "D9", "the member jwks publishes private or symmetric key material: " + where}
	}
	uri, hasURI, fail := r.text("jwks_uri")
	if fail != nil {
		return fail
	}
	if hasJWKS && hasURI {
		return &Error{reasonMember, "D20", "the document has both jwks and jwks_uri"}
	}
	if hasURI {
		if _, f := recogniseID(uri); f != nil {
			return f.about(reasonMember, "the member jwks_uri "+quote(uri))
		}
		r.doc.JWKSURI = uri
	}
	if hasJWKS {
		return r.projectKeys(jwks)
	}
	return nil
}

// findPrivate looks for private and symmetric members at every level of a key
// set, so that a bare key, a nested one or a letter of another case does not
// hide them. It names what it found, or returns "".
func findPrivate(v any) string {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if where := findPrivate(e); where != "" {
				return where
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			e := v[name]
			if known := foldsTo(name, privateJWKMembers); known != "" {
				return "member " + known
			}
			if s, ok := e.(string); ok && foldsTo(name, []string{"kty"}) != "" && foldsTo(s, []string{"oct"}) != "" {
				return "key type oct"
			}
			if where := findPrivate(e); where != "" {
				return where
			}
		}
	}
	return ""
}

// projectKeys keeps the keys that can verify a signature, reduced to their
// public members.
func (r *reader) projectKeys(jwks any) *Error {
	set, _ := jwks.(map[string]any)
	published, ok := set["keys"].([]any)
	if !ok {
		return &Error{reasonMember, "RFC 7517 5", "the member jwks must be an object with an array of keys"}
	}
	kept := []map[string]any{}
	for i, v := range published {
		key, ok := v.(map[string]any)
		if !ok {
			return &Error{reasonMember, "RFC 7517 5", "the member jwks has a key that is not an object, at position " + strconv.Itoa(i)}
		}
		if keyAlgs(key) == nil {
			r.dropElement("jwks.keys", i)
			continue
		}
		public := map[string]any{}
		for _, name := range publicJWKMembers {
			if value, present := key[name]; present {
				public[name] = value
			}
		}
		kept = append(kept, public)
	}
	if len(kept) == 0 {
		r.drop("jwks")
		return nil
	}
	encoded, err := json.Marshal(map[string]any{"keys": kept})
	if err != nil {
		return &Error{reasonMember, "RFC 7517 5", "the member jwks cannot be encoded again"}
	}
	r.doc.JWKS = encoded
	return nil
}

// hasKeyFor reports whether a published key fits the algorithm.
func (r *reader) hasKeyFor(alg string) bool {
	set, _ := r.members["jwks"].(map[string]any)
	published, _ := set["keys"].([]any)
	return slices.ContainsFunc(published, func(v any) bool {
		key, _ := v.(map[string]any)
		return slices.Contains(keyAlgs(key), alg)
	})
}

// keyAlgs returns the algorithms with which a published key can verify a
// signature, or nil when it cannot: another use, an unknown kind, a point off
// its curve, an RSA key outside 2048 to 8192 bits.
func keyAlgs(key map[string]any) []string {
	if !optional(key, "use", func(v any) bool { return v == "sig" }) ||
		!optional(key, "key_ops", func(v any) bool { ops, _ := v.([]any); return slices.Contains(ops, any("verify")) }) ||
		!optional(key, "kid", func(v any) bool { s, ok := v.(string); return ok && isIdentifier(s) }) {
		return nil
	}
	var algs []string
	switch crv, _ := key["crv"].(string); key["kty"] {
	case "EC":
		if onCurve(crv, decoded(key, "x"), decoded(key, "y")) {
			algs = ecAlgs[crv]
		}
	case "RSA":
		if isRSA(decoded(key, "n"), decoded(key, "e")) {
			algs = rsaAlgs
		}
	case "OKP":
		if crv == "Ed25519" && len(decoded(key, "x")) == 32 {
			algs = edAlgs
		}
	}
	if alg, present := key["alg"]; present {
		s, _ := alg.(string)
		if !slices.Contains(algs, s) {
			return nil
		}
		return []string{s}
	}
	return algs
}

func optional(key map[string]any, name string, holds func(any) bool) bool {
	v, present := key[name]
	return !present || holds(v)
}

// decoded returns the octets of a base64url member, nil when it is absent or
// malformed.
func decoded(key map[string]any, name string) []byte {
	s, _ := key[name].(string)
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

func onCurve(crv string, x, y []byte) bool {
	var curve ecdh.Curve
	var size int
	switch crv {
	case "P-256":
		curve, size = ecdh.P256(), 32
	case "P-384":
		curve, size = ecdh.P384(), 48
	case "P-521":
		curve, size = ecdh.P521(), 66
	}
	if curve == nil || len(x) != size || len(y) != size {
		return false
	}
	_, err := curve.NewPublicKey(slices.Concat([]byte{4}, x, y))
	return err == nil
}

func isRSA(n, e []byte) bool {
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	bits := modulus.BitLen()
	return bits >= 2048 && bits <= 8192 && modulus.Bit(0) == 1 &&
		exponent.BitLen() >= 2 && exponent.BitLen() <= 31 && exponent.Bit(0) == 1
}
