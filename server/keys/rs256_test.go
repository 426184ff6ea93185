package keys_test

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"guestlist/server/keys"
)

// These were made with the first keys of testdata/format2, whose second ones
// are used from 13:10 on; the first are gone at 15:10.
const (
	frozen2ES256 = "eyJhbGciOiJFUzI1NiIsImtpZCI6InVqbmFCQWs3SlRfdDc4ZFlYWnBXSERsbkh0QkxPTWRCdVhjQ1VLSzNndUEiLCJ0eXAiOiJhdCtqd3QifQ" +
		".eyJzdWIiOiJhbGljZSJ9.K1qQajCTRsX2AgyOfbb8BAi5svRNuB0vnDiF66w1-qzHRjyqlAJHepNntqTFRTOZOuGHziJOU9F9MidzgfP6eg"
	frozen2RS256 = "eyJhbGciOiJSUzI1NiIsImtpZCI6Il9jNGlyV2puOVJPWTczUUc0bmtZTG53WWpkemthQnJnT3c4VGJzRE91T00iLCJ0eXAiOiJhdCtqd3QifQ" +
		".eyJzdWIiOiJhbGljZSJ9.GZrLlnuXKI_wPsk4MsZIjXVey4Dc1f_u2fgG8roYfQ_Jb-SoWlzTUsMx9Te4PJUTZ_hJ9SZYhZP0QBp_G9SSm9ZnmC9Z7pHSYwhSxdjjL-N7M-" +
		"XQ_hWVos36Ffy_u1b9QQ56a3ncSetX0Hf12Td03kvLl_qngwJ0PoQf94-Up7YJiszMMLZRBCPYgDlT0zWtrn2EQU2HsLj_aqm1NcFgwKuMvLPW" +
		"zNsRLizfeIuZbu9Vg06DZJ02HgJCghdUBMQzxdepbGeeCgXv5Tny47SV8qPtlxu25efbabFP37CcdXDBzc_VNrEm7ApsIM46geFKElVv4S5F4U" +
		"f4eIILCLu9Ww"
	frozen2Sealed = "AUeC0iFGEa-OSOGRvZd6UecF4th2AMWepFo8PvXaC5yCBDb9WUFsJQNjeIs_z2q8YAxQS5E5MHEylIhcnK-l"
)

// publicRSA is the published key set as a resource server without this
// library sees it.
func publicRSA(t testing.TB, jwks []byte) map[string]*rsa.PublicKey {
	t.Helper()
	var set struct {
		Keys []struct{ Use, Kty, Kid, Alg, N, E string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	out := map[string]*rsa.PublicKey{}
	for _, k := range set.Keys {
		if k.Kty == "RSA" {
			if k.Use != "sig" || k.Alg != "RS256" {
				t.Errorf("published key %+v, want use sig and alg RS256", k)
			}
			out[k.Kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(unb64(t, k.N)), E: int(new(big.Int).SetBytes(unb64(t, k.E)).Int64())}
		}
	}
	return out
}

func TestRS256VerifiesWithoutTheLibrary(t *testing.T) {
	r := newRig(t, emptyDir(t), true)
	check := func(token string) {
		t.Helper()
		parts := strings.Split(token, ".")
		var header map[string]string
		if err := json.Unmarshal(unb64(t, parts[0]), &header); err != nil {
			t.Fatal(err)
		}
		if len(header) != 3 || header["alg"] != "RS256" || header["typ"] != "at+jwt" {
			t.Errorf("header = %v, want alg RS256, kid and typ only", header)
		}
		public := publicRSA(t, r.JWKS())[header["kid"]]
		if public == nil || public.N.BitLen() != 2048 {
			t.Fatalf("no 2048 bit key %s in the key set", header["kid"])
		}
		sum := sha256.Sum256([]byte(`{"e":"AQAB","kty":"RSA","n":"` + base64.RawURLEncoding.EncodeToString(public.N.Bytes()) + `"}`))
		if want := base64.RawURLEncoding.EncodeToString(sum[:]); header["kid"] != want {
			t.Errorf("kid = %q, want the thumbprint %q", header["kid"], want)
		}
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], unb64(t, parts[2])); err != nil {
			t.Errorf("crypto/rsa refuses the signature: %v", err)
		}
		digest[0] ^= 1
		if rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], unb64(t, parts[2])) == nil {
			t.Error("crypto/rsa accepts the signature over another payload")
		}
		if claims, err := r.VerifyJWT(token, "at+jwt"); err != nil || string(claims) != `{"sub":"alice"}` {
			t.Errorf("VerifyJWT = %s, %v, want the claims", claims, err)
		}
	}
	old, oldKid := r.sign(r.Keys, "RS256")
	check(old)
	r.rotate(r.Keys, "signing")
	r.clock.set(start.Add(10 * time.Minute))
	next, kid := r.sign(r.Keys, "RS256")
	if kid == oldKid {
		t.Error("after the rotation the old key signs")
	}
	check(next)
	check(old)
}

func TestSignWithRefuses(t *testing.T) {
	without := fresh(t)
	with := newRig(t, emptyDir(t), true)
	for _, c := range []struct {
		name string
		k    *keys.Keys
		alg  string
		says string
	}{
		{"no RS256 key", without, "RS256", "no key for RS256"},
		{"none", with.Keys, "none", "want ES256 or RS256"},
		{"empty", with.Keys, "", "want ES256 or RS256"},
		{"another RSA algorithm", with.Keys, "PS256", "want ES256 or RS256"},
		{"symmetric", with.Keys, "HS256", "want ES256 or RS256"},
		{"the secrets' name", with.Keys, "secret256", "want ES256 or RS256"},
	} {
		token, err := c.k.SignJWTWith(c.alg, "at+jwt", map[string]string{})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: SignJWTWith = %q, %v, want an error with %q", c.name, token, err, c.says)
		}
	}
	if _, err := with.SignJWTWith("RS256", "", map[string]string{}); err == nil {
		t.Error("SignJWTWith without typ succeeded, want an error")
	}
}

// A token names both its key and its algorithm; neither may be swapped.
func TestVerifyRefusesSwappedAlgorithms(t *testing.T) {
	r := newRig(t, emptyDir(t), true)
	es, esKid := r.sign(r.Keys, "ES256")
	rs, rsKid := r.sign(r.Keys, "RS256")
	swap := func(token, alg, kid string) string {
		parts := strings.Split(token, ".")
		return b64(`{"alg":"`+alg+`","kid":"`+kid+`","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2]
	}
	public := publicRSA(t, r.JWKS())[rsKid]
	hs256 := func(secret []byte) string {
		signed := b64(`{"alg":"HS256","kid":"`+rsKid+`","typ":"at+jwt"}`) + "." + b64(`{}`)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	for name, token := range map[string]string{
		"RS256 signature, ES256 header": swap(rs, "ES256", rsKid),
		"ES256 signature, RS256 header": swap(es, "RS256", esKid),
		"RS256 token, ES256 key":        swap(rs, "RS256", esKid),
		"ES256 token, RS256 key":        swap(es, "ES256", rsKid),
		"PS256":                         swap(rs, "PS256", rsKid),
		"RS512":                         swap(rs, "RS512", rsKid),
		"RFC 8725 HS256 with modulus":   hs256(public.N.Bytes()),
		"RFC 8725 none":                 b64(`{"alg":"none","kid":"`+rsKid+`","typ":"at+jwt"}`) + "." + b64(`{}`) + ".",
	} {
		if claims, err := r.VerifyJWT(token, "at+jwt"); err == nil {
			t.Errorf("%s: VerifyJWT = %s, want an error", name, claims)
		}
	}
}

// A file of format 1 is read as it is, and rewritten only when a key is added.
func TestFormat1IsUpgradedOnlyWhenWritten(t *testing.T) {
	dir := frozenDir(t)
	before := snapshot(t, dir)
	plain := newRig(t, dir, false)
	if after := snapshot(t, dir); after != before {
		t.Errorf("Open changed the directory from\n%s\nto\n%s", before, after)
	}
	r := newRig(t, dir, true)
	if got := formatOf(t, dir, "signing"); got != 2 {
		t.Errorf("format of signing.json with an RS256 key = %d, want 2", got)
	}
	for _, p := range []string{"sealing", "pseudonym"} {
		if got := formatOf(t, dir, p); got != 1 {
			t.Errorf("format of %s.json = %d, want 1: nothing was added", p, got)
		}
	}
	set := kids(t, r.Keys)
	if len(set) != 2 || set[0] != frozenKid || len(publicRSA(t, r.JWKS())) != 1 {
		t.Errorf("key set = %v, want the old ES256 key, then an RS256 one", set)
	}
	if _, err := r.VerifyJWT(frozenToken, "at+jwt"); err != nil {
		t.Errorf("VerifyJWT of a token from before = %v, want no error", err)
	}
	if _, kid := r.sign(r.Keys, "ES256"); kid != frozenKid {
		t.Errorf("ES256 is signed with %s, want %s", kid, frozenKid)
	}
	// The process that started before follows, and so does a restart.
	token, kid := r.sign(r.Keys, "RS256")
	if _, err := plain.VerifyJWT(token, "at+jwt"); err != nil {
		t.Errorf("running process: VerifyJWT = %v, want no error", err)
	}
	for name, k := range map[string]*keys.Keys{"that asks": r.open(), "that does not ask": mustOpen(t, dir)} {
		if _, got := r.sign(k, "RS256"); got != kid {
			t.Errorf("restart %s: RS256 is signed with %s, want %s", name, got, kid)
		}
	}
	r.rotate(r.Keys, "sealing")
	if got, err := r.Unseal("ticket", frozenSealed, []byte("cookie 1")); err != nil || string(got) != "a sealed value" {
		t.Errorf("Unseal after the upgrade = %q, %v, want %q", got, err, "a sealed value")
	}
}

// What format 1 leaves open is settled at the upgrade.
func TestFormat1RetiredKeyStaysItsTime(t *testing.T) {
	dir := frozenDir(t)
	path := filepath.Join(dir, "sealing.json")
	old := entriesOf(t, path)[0]
	active, published := maps.Clone(old), maps.Clone(old)
	old["state"], active["id"], published["id"], published["state"] = "retired", "c2VhbGluZzI", "c2VhbGluZzM", "published"
	if err := os.WriteFile(path, seal1(t, "sealing", []map[string]any{old, active, published}), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, dir, false)
	if got := states(r.Keys, "sealing"); got != "retired active published" {
		t.Errorf("states = %s, want retired active published", got)
	}
	r.rotate(r.Keys, "sealing")
	for at, want := range map[time.Duration]bool{2*time.Hour - 1: true, 2 * time.Hour: false} {
		r.clock.set(start.Add(at))
		if _, err := r.Unseal("ticket", frozenSealed, []byte("cookie 1")); (err == nil) != want {
			t.Errorf("after %v: Unseal with the retired key = %v, want success %v", at, err, want)
		}
	}
	if left := entriesOf(t, path); len(left) != 3 || left[1]["id"] != "c2VhbGluZzI" {
		t.Errorf("keys after the upgrade = %v, want the retired, the active and a new one", left)
	}
}

func formatOf(t *testing.T, dir, purpose string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, purpose+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Format int }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Format
}

func frozen2Dir(t *testing.T) string {
	t.Helper()
	dir := emptyDir(t)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format2"))); err != nil {
		t.Fatal(err)
	}
	for _, p := range purposes {
		if err := os.Chmod(filepath.Join(dir, p+".json"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFormat2StaysReadable(t *testing.T) {
	r := newRig(t, frozen2Dir(t), false)
	if got, want := r.Pseudonym("alice"), "wi7lzHfu-94XCOloFPOzlA"; got != want {
		t.Errorf("Pseudonym(alice) = %q, want %q", got, want)
	}
	set := kids(t, r.Keys)
	for _, step := range []struct {
		at     time.Duration
		states string
		first  int // of the key set
		signs  [2]int
		old    bool
	}{
		{time.Hour, "active active published published", 0, [2]int{0, 1}, true},
		{70 * time.Minute, "retired retired active active", 0, [2]int{2, 3}, true},
		{190*time.Minute - time.Second, "retired retired active active", 0, [2]int{2, 3}, true},
		{190 * time.Minute, "active active", 2, [2]int{2, 3}, false},
	} {
		r.clock.set(start.Add(step.at))
		if got := states(r.Keys, "signing"); got != step.states {
			t.Errorf("after %v: states = %s, want %s", step.at, got, step.states)
		}
		if got := kids(t, r.Keys); fmt.Sprint(got) != fmt.Sprint(set[step.first:]) {
			t.Errorf("after %v: key set = %v, want %v", step.at, got, set[step.first:])
		}
		for i, alg := range []string{"ES256", "RS256"} {
			if _, kid := r.sign(r.Keys, alg); kid != set[step.signs[i]] {
				t.Errorf("after %v: %s is signed with %s, want %s", step.at, alg, kid, set[step.signs[i]])
			}
		}
		for _, token := range []string{frozen2ES256, frozen2RS256} {
			if _, err := r.VerifyJWT(token, "at+jwt"); (err == nil) != step.old {
				t.Errorf("after %v: VerifyJWT = %v, want success %v", step.at, err, step.old)
			}
		}
		if _, err := r.Unseal("ticket", frozen2Sealed, []byte("cookie 1")); (err == nil) != step.old {
			t.Errorf("after %v: Unseal = %v, want success %v", step.at, err, step.old)
		}
	}
}

func TestOneRS256KeyWhenManyAskAtOnce(t *testing.T) {
	for name, dir := range map[string]string{"empty directory": emptyDir(t), "format 1": frozenDir(t)} {
		got := make([]string, 4)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				if i < 2 {
					cmd := exec.Command(os.Args[0])
					cmd.Env = append(os.Environ(), openDirEnv+"="+dir, rs256Env+"=1")
					out, err := cmd.CombinedOutput()
					got[i] = string(out)
					if err != nil {
						got[i] += err.Error()
					}
					return
				}
				k, err := keys.Open(keys.Config{Dir: dir, RS256: true})
				if err != nil {
					got[i] = err.Error()
					return
				}
				got[i] = identity(k)
			})
		}
		wg.Wait()
		k := mustOpen(t, dir)
		if n := len(publicRSA(t, k.JWKS())); n != 1 {
			t.Errorf("%s: %d RS256 keys, want 1", name, n)
		}
		for i, g := range got {
			if g != identity(k) {
				t.Errorf("%s, opener %d: keys = %s, want %s", name, i, g, identity(k))
			}
		}
	}
}

func TestOpenRefusesFormat2(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	rsaEntry := func(t *testing.T, private *rsa.PrivateKey) map[string]any {
		jwk := jose.JSONWebKey{Key: private}
		sum, err := jwk.Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{
			"id": base64.RawURLEncoding.EncodeToString(sum), "algorithm": "RS256", "created": start, "signs_from": start, "key": jwk,
		}
	}
	for _, c := range []struct {
		name   string
		change func(t *testing.T, e []map[string]any) []map[string]any
		says   string
	}{
		{"good", func(_ *testing.T, e []map[string]any) []map[string]any { return e }, ""},
		{"RSA key of 1024 bits", func(t *testing.T, e []map[string]any) []map[string]any {
			return append(e[:0:0], e[0], e[2], rsaEntry(t, small))
		}, "not a private key for RS256"},
		{"RSA key for ES256", func(_ *testing.T, e []map[string]any) []map[string]any { e[1]["algorithm"] = "ES256"; return e }, "not a private key for ES256"},
		{"RSA halves do not belong together", func(_ *testing.T, e []map[string]any) []map[string]any {
			e[1]["key"].(map[string]any)["d"] = e[3]["key"].(map[string]any)["d"]
			return e
		}, ""},
		{"public RSA key", func(_ *testing.T, e []map[string]any) []map[string]any {
			for _, m := range []string{"d", "p", "q", "dp", "dq", "qi"} {
				delete(e[1]["key"].(map[string]any), m)
			}
			return e
		}, "not a private key for RS256"},
		{"no ES256 key", func(_ *testing.T, e []map[string]any) []map[string]any { return []map[string]any{e[1], e[3]} }, "no active key for ES256"},
		{"ES256 key without successor that ends", func(_ *testing.T, e []map[string]any) []map[string]any {
			return []map[string]any{e[0], e[1], e[3]}
		}, "no active key for ES256"},
		{"RS256 key without successor that ends", func(_ *testing.T, e []map[string]any) []map[string]any {
			return []map[string]any{e[0], e[1], e[2]}
		}, "0 active keys for RS256"},
		{"two keys without an end", func(_ *testing.T, e []map[string]any) []map[string]any {
			delete(e[0], "retires_at")
			delete(e[0], "gone_at")
			return e
		}, "2 active keys for ES256"},
		{"gone without being retired", func(_ *testing.T, e []map[string]any) []map[string]any { delete(e[0], "retires_at"); return e }, "goes without being retired"},
		{"retired before use", func(_ *testing.T, e []map[string]any) []map[string]any {
			e[0]["retires_at"] = start.Add(-1)
			return e
		}, "out of order"},
		{"gone before retired", func(_ *testing.T, e []map[string]any) []map[string]any {
			e[0]["gone_at"] = start
			return e
		}, "out of order"},
		{"a state as in format 1", func(_ *testing.T, e []map[string]any) []map[string]any { e[0]["state"] = "active"; return e }, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := frozen2Dir(t)
			path := filepath.Join(dir, "signing.json")
			if err := os.WriteFile(path, sealAs(t, 2, "signing", c.change(t, entriesOf(t, path))), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := keys.Open(keys.Config{Dir: dir, Now: func() time.Time { return start.Add(time.Hour) }})
			if c.name == "good" {
				if err != nil {
					t.Errorf("Open = %v, want no error", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open = %v, want an error with %q and the path", err, c.says)
			}
		})
	}
}

// RSA generation draws hundreds of milliseconds; what starts afterwards must not.
func BenchmarkOpen(b *testing.B) {
	for _, rs256 := range []bool{false, true} {
		b.Run(fmt.Sprintf("RS256=%v", rs256), func(b *testing.B) {
			cfg := keys.Config{Dir: filepath.Join(b.TempDir(), "keys"), RS256: rs256}
			if _, err := keys.Open(cfg); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := keys.Open(cfg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The first start that asks for RS256: generation included.
func BenchmarkOpenFirst(b *testing.B) {
	for _, rs256 := range []bool{false, true} {
		b.Run(fmt.Sprintf("RS256=%v", rs256), func(b *testing.B) {
			for b.Loop() {
				if _, err := keys.Open(keys.Config{Dir: filepath.Join(b.TempDir(), "keys"), RS256: rs256}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyJWT(b *testing.B) {
	k, err := keys.Open(keys.Config{Dir: filepath.Join(b.TempDir(), "keys"), RS256: true})
	if err != nil {
		b.Fatal(err)
	}
	for _, alg := range []string{"ES256", "RS256"} {
		b.Run(alg, func(b *testing.B) {
			token, err := k.SignJWTWith(alg, "at+jwt", map[string]string{"sub": "alice"})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := k.VerifyJWT(token, "at+jwt"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestJWKSHoldsNoPrivateMember(t *testing.T) {
	r := newRig(t, frozen2Dir(t), false)
	for _, member := range []string{`"d"`, `"p"`, `"q"`, `"dp"`, `"dq"`, `"qi"`, `"k"`} {
		if bytes.Contains(r.JWKS(), []byte(member)) {
			t.Errorf("the key set holds the member %s", member)
		}
	}
}
