package keys_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"guestlist/server/keys"
)

// foreign signs as a client does.
func foreign(t *testing.T, alg, kid string, key any, more map[jose.HeaderKey]any) string {
	t.Helper()
	opts := &jose.SignerOptions{ExtraHeaders: more}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: key, KeyID: kid}}, opts)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(`{"iss":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// publicSet is a JWK Set of the public halves.
func publicSet(t *testing.T, entries ...jose.JSONWebKey) []byte {
	t.Helper()
	for i, e := range entries {
		if s, ok := e.Key.(crypto.Signer); ok {
			entries[i].Key = s.Public()
		}
	}
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: entries})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerifyWith(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	all := []string{"ES256", "ES384", "RS256", "PS256", "EdDSA"}
	key := func(kid string, k any) jose.JSONWebKey { return jose.JSONWebKey{Key: k, KeyID: kid} }
	crowd := []jose.JSONWebKey{}
	for range 4 {
		k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		crowd = append(crowd, key("", k))
	}
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{}`)) + "."
	good := foreign(t, "ES256", "a", p256, nil)
	for _, c := range []struct {
		name  string
		set   []byte
		algs  []string
		token string
		want  string // alg of the header; empty: refused
		noKey bool
	}{
		{"ES256", publicSet(t, key("a", p256)), all, good, "ES256", false},
		{"ES384", publicSet(t, key("a", p384)), all, foreign(t, "ES384", "a", p384, nil), "ES384", false},
		{"RS256", publicSet(t, key("a", rsaKey)), all, foreign(t, "RS256", "a", rsaKey, nil), "RS256", false},
		{"PS256", publicSet(t, key("a", rsaKey)), all, foreign(t, "PS256", "a", rsaKey, nil), "PS256", false},
		{"trap 16 EdDSA", publicSet(t, key("a", ed)), all, foreign(t, "EdDSA", "a", ed, nil), "EdDSA", false},
		{"trap 16 key without use, header without kid", publicSet(t, key("", p256)), all, foreign(t, "ES256", "", p256, nil), "ES256", false},
		{"CU-06 two keys", publicSet(t, key("b", other), key("a", p256)), all, good, "ES256", false},
		{"two keys of one kid", publicSet(t, key("a", other), key("a", p256)), all, good, "ES256", false},
		{"fourth of four without kid", publicSet(t, append(crowd[:3:3], key("", p256))...), all, foreign(t, "ES256", "", p256, nil), "ES256", false},

		{"fifth of five without kid", publicSet(t, append(crowd[:4:4], key("", p256))...), all, foreign(t, "ES256", "", p256, nil), "", true},
		{"A8 another key under the kid", publicSet(t, key("a", other)), all, good, "", true},
		{"CU-06 unknown kid", publicSet(t, key("b", p256)), all, good, "", true},
		{"key for encryption", publicSet(t, jose.JSONWebKey{Key: p256, KeyID: "a", Use: "enc"}), all, good, "", true},
		{"key for another algorithm", publicSet(t, jose.JSONWebKey{Key: rsaKey, KeyID: "a", Algorithm: "PS256"}), all, foreign(t, "RS256", "a", rsaKey, nil), "", true},
		{"no keys", publicSet(t), all, good, "", true},
		{"A9 algorithm not on the list", publicSet(t, key("a", p256)), []string{"RS256"}, good, "", false},
		{"A9 no algorithm", publicSet(t, key("a", p256)), nil, good, "", false},
		{"A9 none", publicSet(t, key("a", p256)), all, none, "", false},
		{"A9 HS256 with the public key", publicSet(t, key("a", p256)), all, foreign(t, "HS256", "a", []byte(strings.Repeat("k", 32)), nil), "", false},
		{"A9 RS512", publicSet(t, key("a", rsaKey)), all, foreign(t, "RS512", "a", rsaKey, nil), "", false},
		{"critical extension", publicSet(t, key("a", p256)), all, foreign(t, "ES256", "a", p256, map[jose.HeaderKey]any{"crit": []string{"x"}, "x": 1}), "", false},
		{"unencoded payload", publicSet(t, key("a", p256)), all, foreign(t, "ES256", "a", p256, map[jose.HeaderKey]any{"crit": []string{"b64"}, "b64": true}), "", false},
		{"typ is a number", publicSet(t, key("a", p256)), all, foreign(t, "ES256", "a", p256, map[jose.HeaderKey]any{"typ": 1}), "", false},
		{"line break", publicSet(t, key("a", p256)), all, good + "\n", "", false},
		{"two parts", publicSet(t, key("a", p256)), all, good[:strings.LastIndexByte(good, '.')], "", false},
		{"key set is no JSON", []byte("{"), all, good, "", false},
	} {
		h, payload, err := keys.VerifyWith(c.set, c.algs, c.token)
		switch {
		case c.want == "" && (err == nil || payload != nil || errors.Is(err, keys.ErrNoKey) != c.noKey):
			t.Errorf("%s: VerifyWith = %q, %v, want an error, ErrNoKey %t", c.name, payload, err, c.noKey)
		case c.want != "" && (err != nil || h.Algorithm != c.want || string(payload) != `{"iss":"x"}` || h.Type != ""):
			t.Errorf("%s: VerifyWith = %+v, %q, %v, want %s", c.name, h, payload, err, c.want)
		}
	}
	h, _, err := keys.VerifyWith(publicSet(t, key("a", p256)), all, foreign(t, "ES256", "a", p256, map[jose.HeaderKey]any{"typ": "x+jwt"}))
	print, terr := (&jose.JSONWebKey{Key: p256.Public()}).Thumbprint(crypto.SHA256)
	want := keys.Header{Algorithm: "ES256", KeyID: "a", Type: "x+jwt", Thumbprint: base64.RawURLEncoding.EncodeToString(print)}
	if err != nil || terr != nil || h != want {
		t.Errorf("VerifyWith = %+v, %v, %v, want %+v", h, err, terr, want)
	}
	read, err := keys.ReadHeader(all, foreign(t, "ES256", "a", other, map[jose.HeaderKey]any{"typ": "x+jwt"}))
	if want.Thumbprint = ""; err != nil || read != want {
		t.Errorf("ReadHeader = %+v, %v, want %+v", read, err, want)
	}
	if read, err := keys.ReadHeader(all, none); err == nil {
		t.Errorf("ReadHeader of alg none = %+v, want an error", read)
	}
}
