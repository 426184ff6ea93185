package cimd_test

import (
	"errors"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

// TestFetchedPrivateKeys is D9, B42: private and symmetric members refuse a
// fetched set as they refuse a document, whatever else is in it.
func TestFetchedPrivateKeys(t *testing.T) {
	const good = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	if _, err := cimd.ParseJWKS([]byte(`{"keys":[` + good + `]}`)); err != nil {
		t.Fatal(err)
	}
	bad := []string{`{"kty":"oct"}`, `{"KTY":"OCT"}`, `{"kty":"EC","x_old":{"d":"AA"}}`}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "D", "\u0064"} {
		bad = append(bad, `{"kty":"RSA","`+name+`":"AQAB"}`, `{"kty":"RSA","`+name+`":null}`)
	}
	for _, key := range bad {
		got, err := cimd.ParseJWKS([]byte(`{"keys":[` + good + `,` + key + `]}`))
		if e := (*cimd.Error)(nil); !errors.As(err, &e) || e.Reason != "document_private_key" || e.Rule != "D9" || got != nil {
			t.Errorf("ParseJWKS with %s = %s, %v, want document_private_key by D9", key, got, err)
		}
	}
}

func TestParseJWKS(t *testing.T) {
	const good = `{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	for _, c := range []struct {
		name, body, reason string
	}{
		{"CU-06 one key", `{"keys":[` + good + `]}`, ""},
		{"CU-06 a key of another use beside", `{"keys":[{"kty":"EC","use":"enc"},` + good + `],"x_more":1}`, ""},
		{"B42 private member", `{"keys":[` + strings.Replace(good, `"kid"`, `"d":"AA","kid"`, 1) + `]}`, "document_private_key"},
		{"B42 private member beside the keys", `{"keys":[` + good + `],"old":{"d":"AA"}}`, "document_private_key"},
		{"B42 symmetric key", `{"keys":[` + good + `,{"kty":"oct"}]}`, "document_private_key"},
		{"twice the same member", `{"keys":[],"keys":[` + good + `]}`, "document_not_json"},
		{"trailing data", `{"keys":[` + good + `]} {}`, "document_not_json"},
		{"a list", `[` + good + `]`, "document_not_json"},
		{"a key alone", good, "document_member_invalid"},
		{"A8 no key", `{"keys":[]}`, "document_member_invalid"},
		{"A8 no key of use", `{"keys":[{"kty":"EC","use":"enc"}]}`, "document_member_invalid"},
		{"empty", "", "document_not_json"},
	} {
		got, err := cimd.ParseJWKS([]byte(c.body))
		reason := ""
		if e := (*cimd.Error)(nil); errors.As(err, &e) {
			reason = e.Reason
		}
		if reason != c.reason {
			t.Errorf("%s: ParseJWKS = %v, want reason %q", c.name, err, c.reason)
		}
		if c.reason == "" && (strings.Count(string(got), `"kty"`) != 1 || strings.Contains(string(got), "x_more")) {
			t.Errorf("%s: ParseJWKS = %s, want the one usable key", c.name, got)
		}
		if c.reason != "" && got != nil {
			t.Errorf("%s: ParseJWKS = %s beside an error", c.name, got)
		}
	}
}
