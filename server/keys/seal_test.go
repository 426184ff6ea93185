package keys_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// frozenSealed was sealed with the key of testdata/format1, purpose ticket,
// context "cookie 1".
const frozenSealed = "AXNlYWxpbmcx5Dnl8WOaEWnd1QOgpjaRnms9M3O3cYIqW7sNNIiELv8A7_L6fH07dWRNJPQto75P9Mtrb_xO"

func TestUnsealAcceptsFrozenValue(t *testing.T) {
	got, err := frozen(t).Unseal("ticket", frozenSealed, []byte("cookie 1"))
	if err != nil || string(got) != "a sealed value" {
		t.Errorf("Unseal = %q, %v, want %q", got, err, "a sealed value")
	}
}

func TestSealRoundTrip(t *testing.T) {
	k := fresh(t)
	for _, plaintext := range [][]byte{nil, {0}, []byte("ticket"), bytes.Repeat([]byte("x"), 6<<10)} {
		for _, context := range [][]byte{nil, []byte("cookie")} {
			sealed, err := k.Seal("ticket", plaintext, context)
			if err != nil {
				t.Fatal(err)
			}
			if want := base64.RawURLEncoding.EncodedLen(49 + len(plaintext)); len(sealed) != want {
				t.Errorf("length of %d bytes sealed = %d, want %d", len(plaintext), len(sealed), want)
			}
			got, err := k.Unseal("ticket", sealed, context)
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("Unseal of %d bytes = %d bytes, %v, want them back", len(plaintext), len(got), err)
			}
		}
	}
}

func TestSealHidesAndVaries(t *testing.T) {
	k := fresh(t)
	secret := []byte("code_challenge of a waiting request")
	first, err := k.Seal("ticket", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.Seal("ticket", secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	if first == second {
		t.Error("sealing twice gave the same value")
	}
	if bytes.Contains(unb64(t, first), secret[:8]) {
		t.Error("the sealed value shows its plaintext")
	}
}

func TestUnsealRefusesAlike(t *testing.T) {
	k := frozen(t)
	_, other := k.Unseal("ticket", "", nil)
	if other == nil {
		t.Fatal("Unseal of nothing succeeded, want an error")
	}
	raw := unb64(t, frozenSealed)
	flipped := func(i int) string {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		return base64.RawURLEncoding.EncodeToString(changed)
	}
	type value struct{ name, purpose, sealed, context string }
	cases := []value{
		{"other purpose", "code", frozenSealed, "cookie 1"},
		{"no purpose", "", frozenSealed, "cookie 1"},
		{"purpose with a suffix", "ticket2", frozenSealed, "cookie 1"},
		{"other context", "ticket", frozenSealed, "cookie 2"},
		{"no context", "ticket", frozenSealed, ""},
		{"cut", "ticket", frozenSealed[:len(frozenSealed)-4], "cookie 1"},
		{"header only", "ticket", frozenSealed[:12], "cookie 1"},
		{"longer", "ticket", frozenSealed + "AAAA", "cookie 1"},
		{"padding", "ticket", frozenSealed + "=", "cookie 1"},
		{"line break inside", "ticket", frozenSealed[:20] + "\n" + frozenSealed[20:], "cookie 1"},
		{"not base64url", "ticket", strings.ReplaceAll(frozenSealed, "_", "/"), "cookie 1"},
		{"another server's value", "ticket", sealedElsewhere(t), "cookie 1"},
	}
	for i := range raw {
		cases = append(cases, value{"bit flipped in byte " + string(rune('0'+i/10)) + string(rune('0'+i%10)), "ticket", flipped(i), "cookie 1"})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := k.Unseal(c.purpose, c.sealed, []byte(c.context))
			if err == nil {
				t.Fatalf("Unseal = %q, want an error", got)
			}
			if err.Error() != other.Error() {
				t.Errorf("Unseal = %q, want %q as for every other refusal", err, other)
			}
		})
	}
}

func sealedElsewhere(t *testing.T) string {
	t.Helper()
	sealed, err := fresh(t).Seal("ticket", []byte("p"), []byte("cookie 1"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// One plaintext length leaves spare bits in the last character; a second
// spelling of it would slip past a mark made from the string.
func TestSealedValueHasOneSpelling(t *testing.T) {
	k := fresh(t)
	sealed, err := k.Seal("ticket", []byte("x"), nil) // 50 bytes: the last character carries four spare bits
	if err != nil {
		t.Fatal(err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(sealed) - 1
	accepted := 0
	for _, c := range alphabet {
		if _, err := k.Unseal("ticket", sealed[:last]+string(c), nil); err == nil {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d spellings of one sealed value are accepted, want 1", accepted)
	}
}

func TestSealNeedsAPurpose(t *testing.T) {
	if got, err := fresh(t).Seal("", []byte("p"), nil); err == nil {
		t.Errorf("Seal without a purpose = %q, want an error", got)
	}
}

func TestRetiredKeyStillUnseals(t *testing.T) {
	dir := frozenDir(t)
	path := filepath.Join(dir, "sealing.json")
	old := entriesOf(t, path)[0]
	nextDir := filepath.Join(t.TempDir(), "next")
	mustOpen(t, nextDir)
	next := format1(entriesOf(t, filepath.Join(nextDir, "sealing.json"))[0])
	old["state"] = "retired"
	if err := os.WriteFile(path, seal1(t, "sealing", []map[string]any{old, next}), 0o600); err != nil {
		t.Fatal(err)
	}
	k := mustOpen(t, dir)
	if got, err := k.Unseal("ticket", frozenSealed, []byte("cookie 1")); err != nil || string(got) != "a sealed value" {
		t.Errorf("Unseal with the retired key = %q, %v, want %q", got, err, "a sealed value")
	}
	sealed, err := k.Seal("ticket", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mustOpen(t, nextDir).Unseal("ticket", sealed, nil); err != nil {
		t.Errorf("new values are not sealed with the active key: %v", err)
	}
}

func BenchmarkSeal(b *testing.B) {
	k := fresh(b)
	plaintext := bytes.Repeat([]byte("x"), 2<<10)
	for b.Loop() {
		if _, err := k.Seal("ticket", plaintext, []byte("cookie")); err != nil {
			b.Fatal(err)
		}
	}
}
