package grants_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker/cimd"
	"guestlist/server/grants"
)

// assertionKey is the same in every process that fuzzes.
var assertionKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// assertionSet is its public half as a document publishes it.
func assertionSet() json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`,
		base64.RawURLEncoding.EncodeToString(assertionKey.Public().(ed25519.PublicKey))))
}

// b64 is base64url without padding.
func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// goodClaims are claims that do all right.
func goodClaims() string {
	return fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"jti":"j","exp":%d}`, clientID, clientID, issuer, start.Add(time.Minute).Unix())
}

// FuzzAssertion holds A8, A9, Q16, B42 for any bytes: what is accepted as a
// client assertion is signed by the client's key over just the bytes that were
// read, and says of client, audience and time what RFC 7523 asks for. Nothing
// panics. With sign the key signs whatever header and payload are, as a client
// does that means harm; without it signature is taken as it is.
func FuzzAssertion(f *testing.F) {
	good := goodClaims()
	const header = `{"alg":"EdDSA","kid":"k"}`
	f.Add(header, good, "", true)
	f.Add(`{"alg":"EdDSA","typ":"client-authentication+jwt"}`, good, "", true)
	f.Add(`{"alg":"EdDSA","typ":"at+jwt","kid":"k"}`, good, "", true)
	f.Add(`{"alg":"none"}`, good, "", false)
	f.Add(`{"alg":"HS256","kid":"k"}`, good, string(assertionKey.Public().(ed25519.PublicKey)), false)
	f.Add(`{"alg":"EdDSA","kid":"k","crit":["x"],"x":1}`, good, "", true)
	f.Add(`{"alg":"EdDSA","kid":"k","b64":false,"crit":["b64"]}`, good, "", true)
	f.Add(`{"alg":"EdDSA","jwk":{"kty":"OKP"}}`, good, "", true)
	f.Add(header, strings.Replace(good, `"`+issuer+`"`, `["`+issuer+`","https://x.example"]`, 1), "", true)
	f.Add(header, strings.Replace(good, `"jti":"j"`, `"jti":"j","jti":"k","iat":1,"nbf":1e300`, 1), "", true)
	f.Add(header, strings.Replace(good, `"exp":`, `"exp":9`, 1), "", true)
	f.Add(header, good+" ", strings.Repeat("\x00", 64), false)
	f.Fuzz(func(t *testing.T, header, payload, signature string, sign bool) {
		signed := b64(header) + "." + b64(payload)
		if sign {
			signature = string(ed25519.Sign(assertionKey, []byte(signed)))
		}
		wantGenuine(t, signed+"."+b64(signature))
		wantGenuine(t, header+"."+payload+"."+signature) // as the attacker writes it
	})
}

// present exchanges a good code with an assertion of the client.
func present(t *testing.T, assertion string) error {
	t.Helper()
	fx := newFixture(t)
	r := goodCode()
	r.Grant.AuthMethod = "private_key_jwt"
	client := goodClient()
	client.ExpiresAt = start.Add(time.Hour)
	client.Document = cimd.Document{ClientID: clientID, AuthMethod: "private_key_jwt", JWKS: assertionSet()}
	fx.memory.clients[clientID] = client
	x := goodExchange(fx.issue(r))
	x.Auth = grants.ClientAuth{ClientID: clientID, Method: "private_key_jwt", Assertion: grants.Assertion(assertion)}
	_, err := fx.engine.Check(t.Context(), fx.memory.begin(), x)
	return err
}

// wantGenuine presents an assertion and, if it is accepted, holds it against
// what RFC 7523 says by other means than the code under test.
func wantGenuine(t *testing.T, assertion string) {
	t.Helper()
	if present(t, assertion) != nil {
		return
	}
	parts := strings.Split(assertion, ".")
	var raw [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || len(parts) != 3 {
			t.Fatalf("accepted %q, which is no compact JWS", assertion)
		}
		raw[i] = b
	}
	if !ed25519.Verify(assertionKey.Public().(ed25519.PublicKey), []byte(parts[0]+"."+parts[1]), raw[2]) {
		t.Fatalf("accepted %q, which the key has not signed", assertion)
	}
	var head, claims map[string]any
	if json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &claims) != nil {
		t.Fatalf("accepted header %q and payload %q, which are not objects", raw[0], raw[1])
	}
	typ, _ := head["typ"].(string)
	if head["alg"] != "EdDSA" || !slices.Contains([]string{"", "client-authentication+jwt", "oauth-client-auth+jwt"}, typ) {
		t.Errorf("accepted with header %v", head)
	}
	if list, ok := claims["aud"].([]any); ok && len(list) == 1 {
		claims["aud"] = list[0]
	}
	jti, _ := claims["jti"].(string)
	exp, _ := claims["exp"].(float64)
	left := time.Unix(int64(exp), 0).Sub(start)
	if claims["iss"] != clientID || claims["sub"] != clientID || claims["aud"] != issuer || jti == "" || len(jti) > 256 ||
		left < -31*time.Second || left > 5*time.Minute+31*time.Second {
		t.Errorf("accepted with claims %v, %v before the end", claims, left)
	}
}

// TestFuzzAssertionCanAccept holds that the seed is accepted: a target that
// refuses all proves nothing.
func TestFuzzAssertionCanAccept(t *testing.T) {
	signed := b64(`{"alg":"EdDSA","kid":"k"}`) + "." + b64(goodClaims())
	if err := present(t, signed+"."+b64(string(ed25519.Sign(assertionKey, []byte(signed))))); err != nil {
		t.Errorf("Check = %v, want the seed accepted", err)
	}
}
