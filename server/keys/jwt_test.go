package keys_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"guestlist/server/keys"
)

const frozenKid = "UO1GLiTrvjYynvplTrdjDb2q9qI8ShldUEwUM7oIyO4"

// frozenToken was signed with the key of testdata/format1.
const frozenToken = "eyJhbGciOiJFUzI1NiIsImtpZCI6IlVPMUdMaVRydmpZeW52cGxUcmRqRGIycTlxSThTaGxkVUV3VU03b0l5TzQiLCJ0eXAiOiJhdCtqd3QifQ" +
	".eyJzdWIiOiJhbGljZSJ9.jNm9SUo8OVHIwhlvuNRj1rdoE-5pYQcNoWt52w86UT3sNaJ2NHXFTM_818Zi5kgyLA2mlQSF1gn_MJjitPG3xw"

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		t.Fatalf("decode %q: %v", s, err)
	}
	return raw
}

func b64(raw string) string { return base64.RawURLEncoding.EncodeToString([]byte(raw)) }

type publicJWK struct {
	Use, Kty, Kid, Crv, Alg, X, Y string
}

func publicKeys(t testing.TB, jwks []byte) []publicJWK {
	t.Helper()
	var set struct{ Keys []publicJWK }
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys
}

func TestJWKSGolden(t *testing.T) {
	want := `{"keys":[{"use":"sig","kty":"EC","kid":"` + frozenKid + `","crv":"P-256","alg":"ES256",` +
		`"x":"JyC6DDvJUmYskQuT1h0fHJShjAax58XITvSZMNNjtlA","y":"riQ25j2AwBKTC5fn05Y1814h5Fn95yghkCA9SLGKx-c"}]}`
	if got := string(frozen(t).JWKS()); got != want {
		t.Errorf("JWKS = %s, want %s", got, want)
	}
}

func TestJWKSIsTheCallersCopy(t *testing.T) {
	k := fresh(t)
	got, want := k.JWKS(), string(k.JWKS())
	clear(got)
	if string(k.JWKS()) != want {
		t.Error("changing the returned key set changed the keys")
	}
}

// The thumbprint is computed here as RFC 7638 section 3 writes it.
func TestKidIsThumbprint(t *testing.T) {
	key := publicKeys(t, fresh(t).JWKS())[0]
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + key.X + `","y":"` + key.Y + `"}`))
	if want := base64.RawURLEncoding.EncodeToString(sum[:]); key.Kid != want {
		t.Errorf("kid = %q, want %q", key.Kid, want)
	}
}

func TestHeaderGolden(t *testing.T) {
	token, err := frozen(t).SignJWT("at+jwt", map[string]string{"sub": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	if got, want := string(unb64(t, parts[0])), `{"alg":"ES256","kid":"`+frozenKid+`","typ":"at+jwt"}`; got != want {
		t.Errorf("header = %s, want %s", got, want)
	}
	if got, want := string(unb64(t, parts[1])), `{"sub":"alice"}`; got != want {
		t.Errorf("payload = %s, want %s", got, want)
	}
}

// A resource server that has only RFC 7515, RFC 7517 and crypto/ecdsa accepts
// the token with the published key set.
func TestTokenVerifiesWithoutTheLibrary(t *testing.T) {
	k := fresh(t)
	token, err := k.SignJWT("at+jwt", map[string]string{"sub": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	var header struct{ Alg, Kid, Typ string }
	if err := json.Unmarshal(unb64(t, parts[0]), &header); err != nil {
		t.Fatal(err)
	}
	key := publicKeys(t, k.JWKS())[0]
	if header.Kid != key.Kid || header.Alg != "ES256" || key.Alg != "ES256" || key.Use != "sig" {
		t.Fatalf("header %+v does not fit the published key %+v", header, key)
	}
	public := ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(unb64(t, key.X)), Y: new(big.Int).SetBytes(unb64(t, key.Y))}
	signature := unb64(t, parts[2])
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(&public, digest[:], r, s) {
		t.Error("crypto/ecdsa refuses the signature")
	}
	digest[0] ^= 1
	if ecdsa.Verify(&public, digest[:], r, s) {
		t.Error("crypto/ecdsa accepts the signature over another payload")
	}
}

func TestVerifyAcceptsFrozenToken(t *testing.T) {
	claims, err := frozen(t).VerifyJWT(frozenToken, "at+jwt")
	if err != nil || string(claims) != `{"sub":"alice"}` {
		t.Errorf("VerifyJWT = %s, %v, want the claims", claims, err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	k := frozen(t)
	parts := strings.Split(frozenToken, ".")
	signAgain := func(header string) string {
		// Same key id, other header: the signature no longer covers it.
		return b64(header) + "." + parts[1] + "." + parts[2]
	}
	hs256 := func(secret []byte) string {
		signed := b64(`{"alg":"HS256","kid":"`+frozenKid+`","typ":"at+jwt"}`) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	key := publicKeys(t, k.JWKS())[0]
	foreign, err := fresh(t).SignJWT("at+jwt", map[string]string{"sub": "alice"})
	if err != nil {
		t.Fatal(err)
	}
	last := len(frozenToken) - 1
	cases := []struct{ name, token, typ string }{
		{"empty", "", "at+jwt"},
		{"other typ", frozenToken, "id+jwt"},
		{"typ in other case", frozenToken, "AT+JWT"},
		{"typ with application prefix", frozenToken, "application/at+jwt"},
		{"no typ asked", frozenToken, ""},
		{"payload changed", parts[0] + "." + b64(`{"sub":"mallory"}`) + "." + parts[2], "at+jwt"},
		{"signature changed", frozenToken[:last-5] + "A" + frozenToken[last-4:], "at+jwt"},
		{"signature cut", frozenToken[:last-7], "at+jwt"},
		{"no signature", parts[0] + "." + parts[1] + ".", "at+jwt"},
		{"RFC 8725 alg none", b64(`{"alg":"none","kid":"`+frozenKid+`","typ":"at+jwt"}`) + "." + parts[1] + ".", "at+jwt"},
		{"RFC 8725 alg none, signature kept", signAgain(`{"alg":"none","kid":"` + frozenKid + `","typ":"at+jwt"}`), "at+jwt"},
		{"RFC 8725 HS256 with the x coordinate", hs256(unb64(t, key.X)), "at+jwt"},
		{"RFC 8725 HS256 with the point", hs256(append(append([]byte{4}, unb64(t, key.X)...), unb64(t, key.Y)...)), "at+jwt"},
		{"RFC 8725 HS256 with the key set", hs256(k.JWKS()), "at+jwt"},
		{"other alg", signAgain(`{"alg":"ES384","kid":"` + frozenKid + `","typ":"at+jwt"}`), "at+jwt"},
		{"no kid", signAgain(`{"alg":"ES256","typ":"at+jwt"}`), "at+jwt"},
		{"another server's key", foreign, "at+jwt"},
		{"JSON serialization", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, "at+jwt"},
		{"four parts", frozenToken + "." + parts[2], "at+jwt"},
		{"padding", frozenToken + "=", "at+jwt"},
		{"line break", frozenToken + "\n", "at+jwt"},
		{"space", " " + frozenToken, "at+jwt"},
		{"other spelling of the last byte", frozenToken[:last] + "x", "at+jwt"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			claims, err := k.VerifyJWT(c.token, c.typ)
			if err == nil {
				t.Fatalf("VerifyJWT(%q, %q) = %s, want an error", c.token, c.typ, claims)
			}
			if strings.Contains(err.Error(), parts[1]) || strings.Contains(err.Error(), parts[2]) {
				t.Errorf("error %q quotes the token", err)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	k := fresh(t)
	cases := []struct {
		name, typ string
		claims    any
	}{
		{"no typ", "", map[string]string{}},
		{"nil", "at+jwt", nil},
		{"a list", "at+jwt", []string{"sub"}},
		{"bytes", "at+jwt", []byte(`{}`)},
		{"not marshalable", "at+jwt", map[string]any{"f": func() {}}},
	}
	for _, c := range cases {
		if token, err := k.SignJWT(c.typ, c.claims); err == nil {
			t.Errorf("%s: SignJWT = %q, want an error", c.name, token)
		}
	}
	if _, err := k.SignJWT("at+jwt", json.RawMessage(`{"sub":"alice"}`)); err != nil {
		t.Errorf("SignJWT(raw object) = %v, want no error", err)
	}
}

// Trap 33: after a rotation, what the earlier key signed still verifies.
func TestTrap33EarlierKeyStillVerifies(t *testing.T) {
	dir := frozenDir(t)
	path := filepath.Join(dir, "signing.json")
	old := entriesOf(t, path)[0]
	write := func(entries ...map[string]any) {
		t.Helper()
		if err := os.WriteFile(path, seal1(t, "signing", entries), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nextDir := filepath.Join(t.TempDir(), "next")
	mustOpen(t, nextDir)
	next := format1(entriesOf(t, filepath.Join(nextDir, "signing.json"))[0])
	nextKid := next["id"].(string)

	steps := []struct{ old, next, signs string }{
		{"active", "published", frozenKid},
		{"retired", "active", nextKid},
	}
	for _, step := range steps {
		old["state"], next["state"] = step.old, step.next
		write(old, next)
		k := mustOpen(t, dir)
		token, err := k.SignJWT("at+jwt", map[string]string{})
		if err != nil {
			t.Fatal(err)
		}
		header := string(unb64(t, strings.Split(token, ".")[0]))
		if !strings.Contains(header, step.signs) {
			t.Errorf("old key %s: header = %s, want kid %s", step.old, header, step.signs)
		}
		for _, token := range []string{token, frozenToken} {
			if _, err := k.VerifyJWT(token, "at+jwt"); err != nil {
				t.Errorf("old key %s: VerifyJWT = %v, want no error", step.old, err)
			}
		}
		set := publicKeys(t, k.JWKS())
		if len(set) != 2 || set[0].Kid != frozenKid || set[1].Kid != nextKid {
			t.Errorf("old key %s: key set = %+v, want both keys in file order", step.old, set)
		}
	}

	write(next)
	if _, err := mustOpen(t, dir).VerifyJWT(frozenToken, "at+jwt"); err == nil {
		t.Error("VerifyJWT with the key removed succeeded, want an error")
	}
}

func TestConcurrentUse(t *testing.T) {
	k := fresh(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				token, err := k.SignJWT("at+jwt", map[string]string{"sub": "alice"})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := k.VerifyJWT(token, "at+jwt"); err != nil {
					t.Error(err)
				}
				sealed, err := k.Seal("ticket", []byte(token), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := k.Unseal("ticket", sealed, nil); err != nil || string(got) != token {
					t.Errorf("Unseal = %q, %v, want what was sealed", got, err)
				}
				k.JWKS()
				k.Pseudonym("alice")
			}
		})
	}
	wg.Wait()
}

func BenchmarkSignJWT(b *testing.B) {
	k, err := keys.Open(keys.Config{Dir: filepath.Join(b.TempDir(), "keys"), RS256: true})
	if err != nil {
		b.Fatal(err)
	}
	claims := map[string]any{"iss": "https://as.example", "sub": "alice", "aud": "https://mcp.example", "exp": 1, "iat": 1, "jti": "x", "scope": "a b"}
	for _, alg := range []string{"ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.SignJWTWith(alg, "at+jwt", claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
