package cimd_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

const clientURL = "https://client.example.com/oauth/client.json"

const goodMembers = `"client_id":"` + clientURL + `","client_name":"Example","redirect_uris":["https://client.example.com/cb"]`

// parse parses the good document with extra members behind it.
func parse(t testing.TB, extra string) (cimd.Parsed, error) {
	t.Helper()
	return cimd.ParseDocument([]byte(`{`+goodMembers+extra+`}`), mustParse(t, clientURL), "")
}

func TestStrictJSONRefuses(t *testing.T) {
	nested := func(open, shut string, n int) string {
		return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n)
	}
	for _, c := range []struct{ name, body string }{
		{"D1 white space only", " \n\t"},
		{"D1 number", `1`},
		{"D1 true", `true`},
		{"D1 two objects", `{` + goodMembers + `}{}`},
		{"D1 trailing bracket", `{` + goodMembers + `}]`},
		{"D1 trailing NUL", "{" + goodMembers + "}\x00"},
		{"D1 trailing comma", `{` + goodMembers + `,}`},
		{"D1 missing comma", `{` + goodMembers + ` "x":1}`},
		{"D1 trailing comma in array", `{` + goodMembers + `,"x":[1,]}`},
		{"D1 single quotes", `{'client_id':1}`},
		{"D1 bare name", `{client_id:1}`},
		{"D1 number as name", `{1:1}`},
		{"D1 comment", `{` + goodMembers + `/* c */}`},
		{"D1 leading zero", `{` + goodMembers + `,"x":01}`},
		{"D1 plus sign", `{` + goodMembers + `,"x":+1}`},
		{"D1 NaN", `{` + goodMembers + `,"x":NaN}`},
		{"D1 Infinity", `{` + goodMembers + `,"x":Infinity}`},
		{"D1 line end in string", "{" + goodMembers + ",\"x\":\"a\nb\"}"},
		{"D1 bad escape", `{` + goodMembers + `,"x":"\x41"}`},
		{"D1 short unicode escape", `{` + goodMembers + `,"x":"\u12"}`},
		{"D1 XSSI prefix", ")]}'\n{" + goodMembers + "}"},
		{"D1 UTF-16", "\xff\xfe{\x00}\x00"},
		{"D1 no-break space", "\u00a0{" + goodMembers + "}"},
		{"UTF-8 stray byte", "{" + goodMembers + ",\"x\":\"\xff\"}"},
		{"UTF-8 overlong", "{" + goodMembers + ",\"x\":\"\xc0\xaf\"}"},
		{"UTF-8 encoded surrogate", "{" + goodMembers + ",\"x\":\"\xed\xa0\x80\"}"},
		{"UTF-8 in a name", "{" + goodMembers + ",\"x\xff\":1}"},
		{"surrogate high alone", `{` + goodMembers + `,"x":"\ud800"}`},
		{"surrogate low alone", `{` + goodMembers + `,"x":"\uDC00"}`},
		{"surrogate high twice", `{` + goodMembers + `,"x":"\ud800\ud800"}`},
		{"surrogate high then text", `{` + goodMembers + `,"x":"\ud800xxxxxx"}`},
		{"surrogate high then escape", `{` + goodMembers + `,"x":"\ud83d\n"}`},
		{"surrogates swapped", `{` + goodMembers + `,"x":"\ude00\ud83d"}`},
		{"surrogate after a pair", `{` + goodMembers + `,"x":"\ud83d\ude00\ude00"}`},
		{"surrogate after escaped backslash", `{` + goodMembers + `,"x":"\\\ud800"}`},
		{"surrogate in a name", `{` + goodMembers + `,"\ud800":1}`},
		{"surrogate in a name deep down", `{` + goodMembers + `,"x":[{"a\udfff":1}]}`},
		{"NUL escape", `{` + goodMembers + `,"x":"a\u0000"}`},
		{"duplicate", `{` + goodMembers + `,"x":1,"x":1}`},
		{"duplicate redirect_uris", `{` + goodMembers + `,"redirect_uris":["https://evil.example/cb"]}`},
		{"duplicate by escape", `{` + goodMembers + `,"client\u005fid":"https://evil.example/x"}`},
		{"duplicate by escape of the first letter", `{` + goodMembers + `,"\u0072edirect_uris":["https://evil.example/cb"]}`},
		{"duplicate by escaped slash", `{` + goodMembers + `,"a/b":1,"a\/b":2}`},
		{"duplicate by surrogate pair", `{` + goodMembers + `,"😀":1,"\ud83d\ude00":2}`},
		{"duplicate empty name", `{` + goodMembers + `,"":1,"":2}`},
		{"duplicate in an object", `{` + goodMembers + `,"x":{"a":1,"a":2}}`},
		{"duplicate in an array", `{` + goodMembers + `,"x":[[{"a":1,"b":2,"a":3}]]}`},
		{"duplicate in a key", `{` + goodMembers + `,"jwks":{"keys":[{"kty":"EC","kty":"oct"}]}}`},
		{"depth of objects", `{` + goodMembers + `,"x":` + nested(`{"a":`, `}`, 16) + `}`},
		{"depth of arrays", `{` + goodMembers + `,"x":` + nested(`[`, `]`, 16) + `}`},
		{"depth without end", strings.Repeat(`[`, 100000)},
		{"items in an array", `{` + goodMembers + `,"x":[` + strings.Repeat("1,", 995) + `1]}`},
		{"items in arrays", `{` + goodMembers + `,"x":[` + strings.Repeat("[1],", 499) + `1]}`},
		{"number of 41 characters", `{` + goodMembers + `,"x":` + strings.Repeat("1", 41) + `}`},
		{"number just too large", `{` + goodMembers + `,"x":9e308}`},
		{"number too large", `{` + goodMembers + `,"x":1e999}`},
		{"number with a huge negative exponent", `{` + goodMembers + `,"x":1e-999999999}`},
		{"zero with a huge exponent", `{` + goodMembers + `,"x":0E999999999}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := cimd.ParseDocument([]byte(c.body), mustParse(t, clientURL), "")
			if err == nil {
				t.Fatalf("ParseDocument(%.300s) = nil, want document_not_json", c.body)
			}
			if e := failure(t, err); e.Reason != "document_not_json" || e.Rule != "D1" {
				t.Errorf("ParseDocument(%.300s) = %v, want document_not_json", c.body, err)
			}
		})
	}
}

func TestStrictJSONAccepts(t *testing.T) {
	for _, c := range []struct{ name, extra string }{
		{"surrogate pair", `,"x":"\ud83d\ude00"`},
		{"escaped backslash before u", `,"x":"\\ud800"`},
		{"every short escape", `,"x":"\"\\\/\b\f\n\r\t"`},
		{"same name at two levels", `,"x":{"x":{"x":1}}`},
		{"same name in two objects", `,"x":[{"a":1},{"a":1}]`},
		{"names of different case that mean nothing", `,"X":1,"x":2`},
		{"depth of 16", `,"x":` + strings.Repeat("[", 15) + strings.Repeat("]", 15)},
		{"1000 items", `,"x":[` + strings.Repeat("1,", 994) + `1]`},
		{"number of 40 characters", `,"x":` + strings.Repeat("1", 40)},
		{"largest float", `,"x":[1.7976931348623157e308,-0.0,5e-324]`},
		{"empty name", `,"":1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := parse(t, c.extra); err != nil {
				t.Errorf("ParseDocument with %.200s = %v, want valid", c.extra, err)
			}
		})
	}
}

// D2: names that a case-folding reader takes for another.
func TestNamesThatFoldAreRefused(t *testing.T) {
	for _, name := range []string{
		"Client_ID", "CLIENT_ID", "Redirect_URIs", "redirect_uri\u017f", `redirect_uri\u017f`,
		"to\u212aen_endpoint_auth_method", `to\u212aen_endpoint_auth_method`, "JWKS", "j\u0057ks", "jwk\u017f", "Jwks_Uri",
		"Client_Secret", "client_\u017fecret", "Scope", "LOGO_URI", "DPoP_bound_access_tokens",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, `,"`+name+`":["https://evil.example/cb"]`)
			if err == nil {
				t.Fatalf("ParseDocument with member %q = nil, want an error", name)
			}
			if e := failure(t, err); e.Reason != "document_member_invalid" {
				t.Errorf("ParseDocument with member %q = %v, want document_member_invalid", name, err)
			}
		})
	}
}

func TestEscapedNameIsTheSameMember(t *testing.T) {
	body := `{"client\u005fid":"` + clientURL + `","client_name":"Example","\u0072edirect_uris":["https:\/\/client.example.com\/cb"]}`
	parsed, err := cimd.ParseDocument([]byte(body), mustParse(t, clientURL), "")
	if err != nil || parsed.Document.ClientID != clientURL || parsed.Document.RedirectURIs[0] != "https://client.example.com/cb" {
		t.Errorf("ParseDocument(%s) = %+v, %v", body, parsed.Document, err)
	}
	if len(parsed.Dropped) != 0 {
		t.Errorf("Dropped = %q, want none", parsed.Dropped)
	}
}

func TestPublishedKeepsEverything(t *testing.T) {
	parsed, err := parse(t, `,"x_vendor":{"n":1.50,"s":"\ud83d\ude00","z":null,"a":[],"b":true}`)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"client_id": clientURL, "client_name": "Example", "redirect_uris": []any{"https://client.example.com/cb"},
		"x_vendor": map[string]any{"n": json.Number("1.50"), "s": "😀", "z": nil, "a": []any{}, "b": true},
	}
	if !reflect.DeepEqual(parsed.Published, want) {
		t.Errorf("Published = %#v, want %#v", parsed.Published, want)
	}
}
