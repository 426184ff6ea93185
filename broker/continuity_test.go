package broker_test

import (
	"reflect"
	"testing"

	"guestlist/broker"
)

// TestPrints holds thumbprints against the published ones: RFC 7638 section
// 3.1 (RSA) and RFC 8037 appendix A.3 (Ed25519).
func TestPrints(t *testing.T) {
	const (
		n   = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
		rsa = `{"kty":"RSA","n":"` + n + `","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`
		ed  = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
		ec  = `{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	)
	rsaPrint := broker.KeyPrint{ID: "2011-04-29", Thumbprint: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}
	edPrint := broker.KeyPrint{Thumbprint: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}
	for _, c := range []struct {
		name, jwks string
		want       []broker.KeyPrint
	}{
		{"none", `{"keys":[]}`, nil},
		{"RFC 7638", `{"keys":[` + rsa + `]}`, []broker.KeyPrint{rsaPrint}},
		{"RFC 8037", `{"keys":[` + ed + `]}`, []broker.KeyPrint{edPrint}},
		{"sorted, each once", `{"keys":[` + rsa + `,` + ed + `,` + rsa + `]}`, []broker.KeyPrint{edPrint, rsaPrint}},
		{"exponent with a leading zero", `{"keys":[{"kty":"RSA","kid":"2011-04-29","n":"` + n + `","e":"AAEAAQ"}]}`, []broker.KeyPrint{rsaPrint}},
	} {
		if got, err := broker.Prints([]byte(c.jwks)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: Prints = %v, %v, want %v", c.name, got, err, c.want)
		}
	}
	if got, err := broker.Prints(nil); got != nil || err != nil {
		t.Errorf("Prints(nil) = %v, %v, want none", got, err)
	}
	if got, err := broker.Prints([]byte(`{"keys":[` + ec + `]}`)); err != nil || len(got) != 1 || got[0].ID != "k" || len(got[0].Thumbprint) != 43 {
		t.Errorf("Prints of an EC key = %v, %v", got, err)
	}
	for _, bad := range []string{
		`[]`, `{`, `{"keys":{}}`, `{"keys":[1]}`, `{"keys":[{}]}`, `{"keys":[{"kty":"oct","k":"AA"}]}`, `{"keys":[{"kty":"EC","crv":"P-256","x":"AA"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":1}]}`, `{"keys":[{"kty":"RSA","n":"*","e":"AQAB"}]}`, `{"keys":[{"kid":1,"kty":"OKP","crv":"Ed25519","x":"AA"}]}`,
	} {
		if got, err := broker.Prints([]byte(bad)); err == nil {
			t.Errorf("Prints(%s) = %v, want an error", bad, got)
		}
	}
}

// TestG09Continuous is G-09, Q7: what is a rotation and what is not.
func TestG09Continuous(t *testing.T) {
	set := func(s ...string) []broker.KeyPrint {
		var out []broker.KeyPrint
		for i := 0; i < len(s); i += 2 {
			out = append(out, broker.KeyPrint{ID: s[i], Thumbprint: s[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		name          string
		before, after []broker.KeyPrint
		want          bool
	}{
		{"first sight", nil, set("a", "A"), true},
		{"nothing at all", nil, nil, true},
		{"the same", set("a", "A"), set("a", "A"), true},
		{"a key more", set("a", "A"), set("a", "A", "b", "B"), true},
		{"a key less", set("a", "A", "b", "B"), set("b", "B"), true},
		{"overlap", set("a", "A", "b", "B"), set("b", "B", "c", "C"), true},
		{"renamed", set("a", "A"), set("b", "A"), true},
		{"no names, overlap", set("", "A"), set("", "A", "", "B"), true},
		{"no names, replaced", set("", "A"), set("", "B"), false},
		{"same kid, other key", set("a", "A"), set("a", "B"), false},
		{"same kid, other key beside a common one", set("a", "A", "b", "B"), set("a", "C", "b", "B"), false},
		{"same kid, a second key", set("a", "A"), set("a", "A", "a", "B"), false},
		{"names swapped", set("a", "A", "b", "B"), set("a", "B", "b", "A"), false},
		{"two of one kid, one left", set("a", "A", "a", "B"), set("a", "B"), true},
		{"replaced", set("a", "A"), set("b", "B"), false},
		{"all gone", set("a", "A"), nil, false},
	} {
		if got := broker.Continuous(c.before, c.after); got != c.want {
			t.Errorf("%s: Continuous(%v, %v) = %v, want %v", c.name, c.before, c.after, got, c.want)
		}
	}
}

// TestG09ApproveKeys: what waits comes into force, once.
func TestG09ApproveKeys(t *testing.T) {
	c := broker.Client{Keys: []broker.KeyPrint{{ID: "a", Thumbprint: "A"}}, PendingKeys: []broker.KeyPrint{{ID: "a", Thumbprint: "B"}}}
	for range 2 {
		if c.ApproveKeys(); len(c.Keys) != 1 || c.Keys[0].Thumbprint != "B" || c.PendingKeys != nil {
			t.Errorf("ApproveKeys: keys %v, pending %v", c.Keys, c.PendingKeys)
		}
	}
}
