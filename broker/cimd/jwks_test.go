package cimd_test

import (
	"errors"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

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
