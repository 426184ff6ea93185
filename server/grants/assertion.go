package grants

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"guestlist/server/keys"
)

const (
	// methodKey is the token_endpoint_auth_method of a client with a key.
	methodKey = "private_key_jwt"
	// assertionType is the client_assertion_type of RFC 7523 section 2.2.
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	maxAssertion     = 8 << 10         // bytes
	maxAssertionLife = 5 * time.Minute // from now to exp
	assertionSkew    = 30 * time.Second
	maxJTI           = 256 // bytes
)

// AuthMethods returns the client authentication methods that Authenticate
// knows, for metadata and negotiation. The caller owns the list.
func AuthMethods() []string { return []string{methodNone, methodKey} }

// SigningAlgs returns the algorithms that a client assertion may be signed
// with, for metadata and negotiation. The caller owns the list.
func SigningAlgs() []string { return []string{"ES256", "ES384", "RS256", "PS256", "EdDSA"} }

// Assertion is a client assertion as presented. It prints as its digest.
type Assertion string

// String returns the digest.
func (a Assertion) String() string { return "sha256:" + hashOf(string(a)) }

// GoString returns the digest.
func (a Assertion) GoString() string { return a.String() }

// statement holds the claims of a client assertion (RFC 7523 section 3),
// checked in form alone.
type statement struct {
	issuer, subject, id     string
	audience                []string
	expires, before, issued time.Time // before and issued are zero when absent
}

// read takes the claims of an assertion without any proof of who made it.
func (a Assertion) read() (statement, []byte, error) {
	if len(a) > maxAssertion || strings.Count(string(a), ".") != 2 {
		return statement{}, nil, errors.New("the assertion is no compact JWS of reasonable size")
	}
	_, rest, _ := strings.Cut(string(a), ".")
	part, _, _ := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return statement{}, nil, errors.New("the payload of the assertion is not base64url")
	}
	c, err := decodeClaims(payload)
	return c, payload, err
}

// decodeClaims reads the payload of an assertion. Names count exactly, which
// is why it is no struct.
func decodeClaims(payload []byte) (statement, error) {
	var m map[string]json.RawMessage
	if json.Unmarshal(payload, &m) != nil || m == nil {
		return statement{}, errors.New("the payload of the assertion is not a JSON object")
	}
	var c statement
	for name, to := range map[string]*string{"iss": &c.issuer, "sub": &c.subject, "jti": &c.id} {
		if json.Unmarshal(m[name], to) != nil || *to == "" {
			return statement{}, errors.New("the assertion has no " + name)
		}
	}
	for name, to := range map[string]*time.Time{"exp": &c.expires, "nbf": &c.before, "iat": &c.issued} {
		if _, present := m[name]; !present && name != "exp" {
			continue
		}
		var ok bool
		if *to, ok = numericDate(m[name]); !ok {
			return statement{}, errors.New("the assertion has no usable " + name)
		}
	}
	var one string
	if json.Unmarshal(m["aud"], &one) == nil {
		c.audience = []string{one}
	} else if json.Unmarshal(m["aud"], &c.audience) != nil {
		return statement{}, errors.New("the assertion has no aud")
	}
	return c, nil
}

// numericDate reads a NumericDate (RFC 7519 section 2) of this era.
func numericDate(raw json.RawMessage) (time.Time, bool) {
	var n *float64
	if json.Unmarshal(raw, &n) != nil || n == nil || *n < 1 || *n > 1<<40 {
		return time.Time{}, false
	}
	whole, part := math.Modf(*n)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), true
}

// check holds the claims against what RFC 7523 section 3 and its successor
// ask for, in every point but the signature and the use of jti. audiences are
// those that may stand alone in aud.
func (c statement) check(clientID string, audiences []string, now time.Time) error {
	switch {
	case c.issuer != clientID || c.subject != clientID:
		return errors.New("iss and sub of the assertion are not both the client_id")
	case len(c.audience) != 1 || !slices.Contains(audiences, c.audience[0]):
		return errors.New("aud of the assertion is not this issuer alone")
	case len(c.id) > maxJTI:
		return errors.New("jti of the assertion is too long")
	case !now.Before(c.expires.Add(assertionSkew)):
		return errors.New("the assertion has expired")
	case c.expires.After(now.Add(maxAssertionLife + assertionSkew)):
		return errors.New("the assertion expires more than five minutes ahead")
	case c.before.After(now.Add(assertionSkew)):
		return errors.New("the assertion does not count yet (nbf)")
	case c.issued.After(now.Add(assertionSkew)):
		return errors.New("the assertion was issued in the future (iat)")
	case !c.issued.IsZero() && c.issued.After(c.expires), c.before.After(c.expires):
		return errors.New("the assertion ends before it begins")
	}
	return nil
}

// checkType holds typ against what RFC 8725 section 3.11 asks for: a token of
// another kind, signed by the same key, is no client assertion. A typ that names
// no kind says as little as one that is absent.
func checkType(h keys.Header) error {
	switch typeOf(h) {
	case "", "jwt", "client-authentication+jwt", "oauth-client-auth+jwt":
		return nil
	}
	return errors.New("typ of the assertion is that of another kind of token")
}

// namesKind reports whether an assertion says that it is one.
func namesKind(h keys.Header) bool { return typeOf(h) != "" && typeOf(h) != "jwt" }

// typeOf is the media type that typ stands for, in lower case and without the
// application/ that may be left out (RFC 7515 section 4.1.9). "jwt" is what
// libraries write into every JWT (RFC 7519 section 5.1).
func typeOf(h keys.Header) string {
	return strings.TrimPrefix(strings.ToLower(h.Type), "application/")
}
