package cimd_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

// variant is the good document with members replaced; an empty value removes
// the member.
type variant map[string]string

func (v variant) body() []byte {
	members := map[string]json.RawMessage{
		"client_id":     json.RawMessage(`"` + clientURL + `"`),
		"client_name":   json.RawMessage(`"Example"`),
		"redirect_uris": json.RawMessage(`["https://client.example.com/cb"]`),
	}
	for name, value := range v {
		members[name] = json.RawMessage(value)
		if value == "" {
			delete(members, name)
		}
	}
	body, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return body
}

const (
	xy       = `"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`
	ecKey    = `{"kty":"EC","crv":"P-256","kid":"k1",` + xy + `}`
	edKey    = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	keyUse   = `"private_key_jwt"`
	jwksURI  = `"https://client.example.com/jwks.json"`
	device   = `"urn:ietf:params:oauth:grant-type:device_code"`
	exchange = `"urn:ietf:params:oauth:grant-type:token-exchange"`
)

func keySet(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func rsaKey(bytes int) string {
	// 0xff… is odd and has all its bits; whether it is a product of two primes
	// is not for a verifier to know.
	n := strings.Repeat("_", bytes/3*4) + map[int]string{0: "", 1: "_w", 2: "__8"}[bytes%3]
	return `{"kty":"RSA","e":"AQAB","n":"` + n + `"}`
}

func TestParseDocumentRefuses(t *testing.T) {
	const (
		member, redirects, auth = "document_member_invalid", "document_redirects_invalid", "document_auth_method_unsupported"
		nothing, private        = "document_nothing_usable", "document_private_key"
	)
	withKey := func(key string) variant {
		return variant{"token_endpoint_auth_method": keyUse, "jwks": keySet(key)}
	}
	for _, c := range []struct {
		name   string
		change variant
		reason string
	}{
		{"D2 client_id object", variant{"client_id": `{}`}, "document_client_id_missing"},
		{"D3 client_id empty", variant{"client_id": `""`}, "document_client_id_mismatch"},
		{"D3 before member rules", variant{"client_id": `"https://evil.example/x"`, "client_secret": `"s"`}, "document_client_id_mismatch"},
		{"D3 trailing NUL-like space", variant{"client_id": `"` + clientURL + `\t"`}, "document_client_id_mismatch"},
		{"D3 userinfo", variant{"client_id": `"https://@client.example.com/oauth/client.json"`}, "document_client_id_mismatch"},
		{"D3 fragment", variant{"client_id": `"` + clientURL + `#"`}, "document_client_id_mismatch"},
		{"D8 client_secret null", variant{"client_secret": `null`}, "document_secret_present"},
		{"D8 client_secret_expires_at number", variant{"client_secret_expires_at": `1893456000`}, "document_secret_present"},
		{"D7 unknown shared secret", variant{"token_endpoint_auth_method": `"client_secret_whatever"`}, auth},
		{"D7 capitals", variant{"token_endpoint_auth_method": `"Client_Secret_Basic"`}, auth},
		{"D12 capitals beside none", variant{"token_endpoint_auth_methods_supported": `["none","Client_Secret_Basic"]`}, auth},
		{"D12 only secrets", variant{"token_endpoint_auth_methods_supported": `["client_secret_jwt"]`}, auth},
		{"D14 plural without a supported method", variant{"token_endpoint_auth_methods_supported": `["tls_client_auth"]`}, auth},
		{"D14 plural empty", variant{"token_endpoint_auth_methods_supported": `[]`}, auth},
		{"D14 plural private_key_jwt without keys", variant{"token_endpoint_auth_methods_supported": `["private_key_jwt"]`}, auth},
		{"D15 none not in the list", variant{"token_endpoint_auth_method": `"none"`, "token_endpoint_auth_methods_supported": `[]`}, member},
		{"D17 empty method", variant{"token_endpoint_auth_method": `""`}, auth},
		{"D17 method of another case", variant{"token_endpoint_auth_method": `"None"`}, auth},
		{"D17 method with a space", variant{"token_endpoint_auth_method": `"none "`}, auth},
		{"method null", variant{"token_endpoint_auth_method": `null`}, member},
		{"methods string", variant{"token_endpoint_auth_methods_supported": `"none"`}, member},
		{"methods null", variant{"token_endpoint_auth_methods_supported": `null`}, member},
		{"methods with a number", variant{"token_endpoint_auth_methods_supported": `["none",1]`}, member},
		{"B20 both methods, no keys", variant{"token_endpoint_auth_method": keyUse, "token_endpoint_auth_methods_supported": `["none","private_key_jwt"]`}, auth},

		{"B42 d", variant{"jwks": keySet(`{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}`)}, private},
		{"B42 p", variant{"jwks": keySet(`{"kty":"RSA","p":"AQAB"}`)}, private},
		{"B42 q", variant{"jwks": keySet(`{"kty":"RSA","q":"AQAB"}`)}, private},
		{"B42 dp", variant{"jwks": keySet(`{"kty":"RSA","dp":"AQAB"}`)}, private},
		{"B42 dq", variant{"jwks": keySet(`{"kty":"RSA","dq":"AQAB"}`)}, private},
		{"B42 qi", variant{"jwks": keySet(`{"kty":"RSA","qi":"AQAB"}`)}, private},
		{"B42 oth", variant{"jwks": keySet(`{"kty":"RSA","oth":[]}`)}, private},
		{"B42 k", variant{"jwks": keySet(`{"kty":"EC","k":"AQAB"}`)}, private},
		{"B42 Kelvin sign", variant{"jwks": keySet("{\"kty\":\"EC\",\"\u212a\":\"AQAB\"}")}, private},
		{"B42 capital D", variant{"jwks": keySet(`{"kty":"EC","D":"AQAB"}`)}, private},
		{"B42 d empty", variant{"jwks": keySet(`{"kty":"EC","d":""}`)}, private},
		{"B42 d null", variant{"jwks": keySet(`{"kty":"EC","d":null}`)}, private},
		{"B42 oct without k", variant{"jwks": keySet(`{"kty":"oct"}`)}, private},
		{"B42 OCT", variant{"jwks": keySet(`{"kty":"OCT"}`)}, private},
		{"B42 second key", variant{"jwks": keySet(ecKey, `{"kty":"OKP","crv":"Ed25519","d":"x"}`)}, private},
		{"B42 bare key instead of a set", variant{"jwks": `{"kty":"EC","d":"x"}`}, private},
		{"B42 array instead of a set", variant{"jwks": `[{"kty":"EC","d":"x"}]`}, private},
		{"B42 nested", variant{"jwks": keySet(`{"kty":"EC","x_old":{"d":"x"}}`)}, private},
		{"B42 before the method", variant{"jwks": keySet(`{"kty":"EC","d":"x"}`), "token_endpoint_auth_method": `"foo"`}, private},
		{"D20 both key members, method none", variant{"jwks": keySet(ecKey), "jwks_uri": jwksURI}, member},
		{"jwks null", variant{"jwks": `null`}, member},
		{"jwks string", variant{"jwks": `"{}"`}, member},
		{"jwks without keys", variant{"jwks": `{}`}, member},
		{"jwks keys object", variant{"jwks": `{"keys":{}}`}, member},
		{"jwks key string", variant{"jwks": keySet(`"x"`)}, member},
		{"jwks_uri null", variant{"jwks_uri": `null`}, member},
		{"jwks_uri number", variant{"jwks_uri": `1`}, member},
		{"jwks_uri empty", variant{"jwks_uri": `""`}, member},
		{"jwks_uri relative", variant{"jwks_uri": `"/jwks.json"`}, member},
		{"B4 jwks_uri link-local", variant{"jwks_uri": `"https://169.254.169.254/latest"`}, member},
		{"B4 jwks_uri v6", variant{"jwks_uri": `"https://[fd00::1]/jwks"`}, member},
		{"B4 jwks_uri decimal", variant{"jwks_uri": `"https://2130706433/jwks"`}, member},
		{"B4 jwks_uri localhost", variant{"jwks_uri": `"https://localhost/jwks"`}, member},
		{"B4 jwks_uri single label", variant{"jwks_uri": `"https://intranet/jwks"`}, member},
		{"jwks_uri userinfo", variant{"jwks_uri": `"https://u@client.example.com/jwks"`}, member},
		{"jwks_uri fragment", variant{"jwks_uri": `"https://client.example.com/jwks#x"`}, member},
		{"F14 jwks_uri file", variant{"jwks_uri": `"file:///etc/passwd"`}, member},
		{"A8 key for encryption", withKey(`{"kty":"EC","crv":"P-256","use":"enc",` + xy + `}`), auth},
		{"A8 key not for verifying", withKey(`{"kty":"EC","crv":"P-256","key_ops":["sign"],` + xy + `}`), auth},
		{"A8 key_ops string", withKey(`{"kty":"EC","crv":"P-256","key_ops":"verify",` + xy + `}`), auth},
		{"A8 point off the curve", withKey(strings.Replace(ecKey, `"x":"f`, `"x":"g`, 1)), auth},
		{"A8 short coordinate", withKey(`{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}`), auth},
		{"A8 padded coordinate", withKey(strings.Replace(ecKey, `EU"`, `EU="`, 1)), auth},
		{"A8 coordinates cut elsewhere", withKey(`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA","y":"RcfxRM0bvZt-hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt"}`), auth},
		{"A8 coordinate with stray bits", withKey(strings.Replace(ecKey, `EU"`, `EV"`, 1)), auth},
		{"A8 curve unknown", withKey(strings.Replace(ecKey, "P-256", "secp256k1", 1)), auth},
		{"A8 curve of another size", withKey(strings.Replace(ecKey, "P-256", "P-384", 1)), auth},
		{"A8 key type missing", withKey(strings.Replace(ecKey, `"kty":"EC",`, ``, 1)), auth},
		{"A8 key type unknown", withKey(strings.Replace(ecKey, `"EC"`, `"XX"`, 1)), auth},
		{"A8 kid number", withKey(strings.Replace(ecKey, `"k1"`, `1`, 1)), auth},
		{"A8 alg of another type", withKey(strings.Replace(ecKey, `"kid":"k1"`, `"alg":"RS256"`, 1)), auth},
		{"A8 alg symmetric", withKey(strings.Replace(ecKey, `"kid":"k1"`, `"alg":"HS256"`, 1)), auth},
		{"A8 RSA of 1024 bits", withKey(rsaKey(128)), auth},
		{"A8 RSA of 16384 bits", withKey(rsaKey(2048)), auth},
		{"A8 RSA exponent 1", withKey(strings.Replace(rsaKey(256), "AQAB", "AQ", 1)), auth},
		{"A8 Ed25519 short", withKey(`{"kty":"OKP","crv":"Ed25519","x":"11qY"}`), auth},
		{"A8 X25519", withKey(strings.Replace(edKey, "Ed25519", "X25519", 1)), auth},
		{"A8 no key for the algorithm", variant{"token_endpoint_auth_method": keyUse, "jwks": keySet(ecKey), "token_endpoint_auth_signing_alg": `"RS256"`}, auth},
		{"A9 alg None", variant{"token_endpoint_auth_signing_alg": `"None"`}, member},
		{"A9 alg HS512 of a public client", variant{"token_endpoint_auth_signing_alg": `"HS512"`}, member},
		{"A8 key kept for another algorithm", variant{"token_endpoint_auth_method": keyUse, "jwks": keySet(strings.Replace(rsaKey(256), `"e"`, `"alg":"RS256","e"`, 1)), "token_endpoint_auth_signing_alg": `"PS256"`}, auth},
		{"A9 alg unknown", variant{"token_endpoint_auth_method": keyUse, "jwks_uri": jwksURI, "token_endpoint_auth_signing_alg": `"ROT13"`}, auth},
		{"A9 alg array", variant{"token_endpoint_auth_signing_alg": `["ES256"]`}, member},

		{"Q1 grants empty", variant{"grant_types": `[]`}, nothing},
		{"Q1 password", variant{"grant_types": `["password"]`}, nothing},
		{"Q1 grant of another case", variant{"grant_types": `["Authorization_Code"]`}, nothing},
		{"Q1 responses empty", variant{"response_types": `[]`}, nothing},
		{"Q1 hybrid only", variant{"response_types": `["code id_token"]`}, nothing},
		{"grants null", variant{"grant_types": `null`}, member},
		{"grants with null", variant{"grant_types": `["authorization_code",null]`}, member},
		{"responses string", variant{"response_types": `"code"`}, member},

		{"M11 redirects null", variant{"redirect_uris": `null`}, redirects},
		{"M11 redirects object", variant{"redirect_uris": `{}`}, redirects},
		{"M11 redirects null entry", variant{"redirect_uris": `[null]`}, redirects},
		{"M11 device client without redirects", variant{"redirect_uris": "", "grant_types": `[` + device + `]`}, redirects},
		{"redirect empty entry", variant{"redirect_uris": `["https://client.example.com/cb",""]`}, redirects},
		{"M24 redirect http next to a good one", variant{"redirect_uris": `["https://client.example.com/cb","http://client.example.com/cb"]`}, redirects},
		{"redirect wildcard next to a good one", variant{"redirect_uris": `["https://client.example.com/cb","https://client.example.com/*"]`}, redirects},
		{"F14 hidden javascript", variant{"redirect_uris": `["https://client.example.com/cb","\u0001JavaScript:alert(1)"]`}, redirects},
		{"X8 all unusable", variant{"redirect_uris": `["cursor://a/b","myapp:/cb"]`}, redirects},
		{"101 redirects", variant{"redirect_uris": `["https://client.example.com/cb"` + strings.Repeat(`,"https://client.example.com/cb"`, 100) + `]`}, redirects},
		{"redirect of 2049 octets", variant{"redirect_uris": `["https://client.example.com/` + strings.Repeat("a", 2049-27) + `"]`}, redirects},

		{"M11 name blank", variant{"client_name": `" \u00a0\t"`}, "document_name_missing"},
		{"name null", variant{"client_name": `null`}, member},
		{"B34 newline", variant{"client_name": `"Claude\nCode"`}, member},
		{"B34 tab", variant{"client_name": `"Claude\tCode"`}, member},
		{"B34 escape character", variant{"client_name": `"\u001b[31mred"`}, member},
		{"B34 C1 control", variant{"client_name": `"a\u0085b"`}, member},
		{"B34 direction isolate", variant{"client_name": `"a\u2066b"`}, member},
		{"B34 right-to-left mark", variant{"client_name": `"a\u200fb"`}, member},
		{"B34 Arabic letter mark", variant{"client_name": `"a\u061cb"`}, member},
		{"B34 zero width space", variant{"client_name": `"Clau\u200bde"`}, member},
		{"B34 zero width joiner", variant{"client_name": `"Clau\u200dde"`}, member},
		{"B34 soft hyphen", variant{"client_name": `"Clau\u00adde"`}, member},
		{"B34 byte order mark", variant{"client_name": `"\ufeffClaude"`}, member},
		{"B34 line separator", variant{"client_name": `"a\u2028b"`}, member},
		{"B34 tag character", variant{"client_name": `"a\udb40\udc41"`}, member},
		{"B34 Hangul filler", variant{"client_name": `"\u3164"`}, member},
		{"B34 braille blank", variant{"client_name": `"\u2800"`}, member},
		{"B34 grapheme joiner", variant{"client_name": `"Cla\u034fude"`}, member},
		{"B34 private use", variant{"client_name": `"\uf8ff"`}, member},
		{"B34 noncharacter", variant{"client_name": `"a\ufffe"`}, member},
		{"B34 name of 1001 bytes", variant{"client_name": `"` + strings.Repeat("a", 1001) + `"`}, member},

		{"scope null", variant{"scope": `null`}, member},
		{"scope with a line end", variant{"scope": `"a\nb"`}, member},
		{"scope with a quote", variant{"scope": `"a\"b"`}, member},
		{"scope with a backslash", variant{"scope": `"a\\b"`}, member},
		{"scope not ASCII", variant{"scope": `"é"`}, member},
		{"Q5 application_type capital", variant{"application_type": `"Native"`}, member},
		{"Q5 application_type empty", variant{"application_type": `""`}, member},
		{"Q5 application_type null", variant{"application_type": `null`}, member},
		{"dpop string", variant{"dpop_bound_access_tokens": `"true"`}, member},
		{"dpop null", variant{"dpop_bound_access_tokens": `null`}, member},
		{"par number", variant{"require_pushed_authorization_requests": `1`}, member},
		{"logo number", variant{"logo_uri": `1`}, member},
		{"client_uri array", variant{"client_uri": `["https://client.example.com/"]`}, member},
		{"contacts string", variant{"contacts": `"a@client.example.com"`}, member},
		{"contacts number", variant{"contacts": `[1]`}, member},
		{"software_id object", variant{"software_id": `{}`}, member},
		{"software_version number", variant{"software_version": `1.0`}, member},

		{"F14 tos javascript", variant{"tos_uri": `"javascript:alert(1)"`}, member},
		{"F14 policy vbscript", variant{"policy_uri": `"VBScript:x"`}, member},
		{"F14 logo data", variant{"logo_uri": `"data:image/svg+xml,x"`}, member},
		{"F14 logo with a tab inside", variant{"logo_uri": `"java\tscript:x"`}, member},
		{"F14 client_uri after white space", variant{"client_uri": `" \n javascript:x"`}, member},
		{"F14 client_uri blob", variant{"client_uri": `"blob:x"`}, member},
		{"F14 client_uri about", variant{"client_uri": `"about:blank"`}, member},
		{"F14 of a language", variant{"logo_uri#ja": `"javascript:x"`}, member},
		{"F14 member that is not kept", variant{"initiate_login_uri": `"javascript:x"`}, member},
		{"F14 list that is not kept", variant{"post_logout_redirect_uris": `["https://client.example.com/","data:x"]`}, member},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := c.change.body()
			parsed, err := cimd.ParseDocument(body, mustParse(t, clientURL), "")
			if err == nil {
				t.Fatalf("ParseDocument(%.300s) = nil, want %s", body, c.reason)
			}
			if e := failure(t, err); e.Reason != c.reason {
				t.Errorf("ParseDocument(%.300s) = %v, want %s", body, err, c.reason)
			}
			if !reflect.DeepEqual(parsed, cimd.Parsed{}) {
				t.Errorf("ParseDocument(%.300s) gives %+v beside its error", body, parsed)
			}
		})
	}
}

func TestParseDocumentKeeps(t *testing.T) {
	scope, none := "a  b", ""
	code := []string{"authorization_code"}
	base := func(change func(*cimd.Document)) cimd.Document {
		d := cimd.Document{
			ClientID: clientURL, ClientName: "Example", RedirectURIs: []string{"https://client.example.com/cb"},
			GrantTypes: code, ResponseTypes: []string{"code"},
		}
		change(&d)
		return d
	}
	long := strings.Repeat("界", 300)
	for _, c := range []struct {
		name    string
		change  variant
		profile cimd.Profile
		want    cimd.Document
		dropped []string
	}{
		{"RFC 7591 defaults", nil, "", base(func(*cimd.Document) {}), nil},
		{"D6 unknown profile is the strict one", nil, "other", base(func(*cimd.Document) {}), nil},
		{"B18 scope published", variant{"scope": `"a  b"`}, "", base(func(d *cimd.Document) { d.Scope = &scope }), nil},
		{"scope empty is not absent", variant{"scope": `""`}, "", base(func(d *cimd.Document) { d.Scope = &none }), nil},
		{"B34 name of 300 characters", variant{"client_name": `"` + long + `"`}, "", base(func(d *cimd.Document) { d.ClientName = long }), nil},
		{"name with an emoji", variant{"client_name": `"I ❤️ é"`}, "", base(func(d *cimd.Document) { d.ClientName = "I ❤️ é" }), nil},
		{"B19 grants unknown, repeated and odd",
			variant{"grant_types": `["refresh_token","authorization_code","x","x","a\u0007b","",` + device + `]`}, "",
			base(func(d *cimd.Document) {
				d.GrantTypes = []string{"refresh_token", "authorization_code", "x", "urn:ietf:params:oauth:grant-type:device_code"}
			}), []string{"grant_types[3]", "grant_types[4]", "grant_types[5]"}},
		{"redirects repeated and unusable", variant{"redirect_uris": `["myapp://cb","http://localhost/cb","http://localhost/cb","com.example.app:/cb","https://client.example.com/cb?iss=x"]`}, "",
			base(func(d *cimd.Document) { d.RedirectURIs = []string{"http://localhost/cb", "com.example.app:/cb"} }),
			[]string{"redirect_uris[0]", "redirect_uris[2]", "redirect_uris[4]"}},
		{"Q10 display URLs kept",
			variant{"client_uri": `"https://client.example.com"`, "logo_uri": `"https://cdn.example.net:8443/l.png?v=1"`, "tos_uri": `"https://client.example.com/tos#s1"`, "policy_uri": `"https://client.example.com/p"`}, "",
			base(func(d *cimd.Document) {
				d.ClientURI, d.LogoURI = "https://client.example.com", "https://cdn.example.net:8443/l.png?v=1"
				d.TosURI, d.PolicyURI = "https://client.example.com/tos#s1", "https://client.example.com/p"
			}), nil},
		{"Q10 display URLs dropped",
			variant{"client_uri": `"http://client.example.com"`, "logo_uri": `"//client.example.com/l.png"`, "tos_uri": `null`, "policy_uri": `"mailto:a@client.example.com"`}, "",
			base(func(*cimd.Document) {}), []string{"client_uri", "logo_uri", "policy_uri", "tos_uri"}},
		{"Q10 display URLs dropped for their host",
			variant{"client_uri": `"https://u@client.example.com"`, "logo_uri": `"https://127.0.0.1/l.png"`, "tos_uri": `"https://localhost/"`, "policy_uri": `""`}, "",
			base(func(*cimd.Document) {}), []string{"client_uri", "logo_uri", "policy_uri", "tos_uri"}},
		{"display URLs too long or with odd fragments",
			variant{"client_uri": `"https://client.example.com/` + strings.Repeat("a", 2048) + `"`, "logo_uri": `"https://client.example.com/#` + strings.Repeat("a", 2030) + `"`, "tos_uri": `"https://client.example.com/#a#b"`, "policy_uri": `"https://client.example.com/#<"`}, "",
			base(func(*cimd.Document) {}), []string{"client_uri", "logo_uri", "policy_uri", "tos_uri"}},
		{"software and people", variant{"software_id": `"mcpc"`, "software_version": `"1.0"`, "contacts": `["a@client.example.com","a\nb",""]`, "application_type": `"native"`}, "",
			base(func(d *cimd.Document) {
				d.SoftwareID, d.SoftwareVersion, d.ApplicationType = "mcpc", "1.0", "native"
				d.Contacts = []string{"a@client.example.com"}
			}), []string{"contacts[1]", "contacts[2]"}},
		{"software and people of no use", variant{"software_id": `"` + strings.Repeat("a", 256) + `"`, "software_version": `"a\u202e"`, "contacts": `null`}, "",
			base(func(*cimd.Document) {}), []string{"contacts", "software_id", "software_version"}},
		{"demands", variant{"dpop_bound_access_tokens": `true`, "require_pushed_authorization_requests": `true`}, "",
			base(func(d *cimd.Document) { d.DPoPBoundAccessTokens, d.RequirePAR = true, true }), nil},
		{"D11 D19 D20 ignored and unknown", variant{"software_statement": `"e30."`, "client_id_expires_at": `1`, "x": `{}`, "client_name#ja": `"例"`}, "",
			base(func(*cimd.Document) {}), []string{"client_id_expires_at", "client_name#ja", "software_statement", "x"}},
		{"B20 both methods", variant{"token_endpoint_auth_method": keyUse, "token_endpoint_auth_methods_supported": `["none","private_key_jwt"]`, "jwks_uri": jwksURI, "token_endpoint_auth_signing_alg": `"RS256"`}, "",
			base(func(d *cimd.Document) {
				d.AuthMethod, d.AuthMethodsSupported = "private_key_jwt", []string{"none", "private_key_jwt"}
				d.JWKSURI, d.SigningAlg = "https://client.example.com/jwks.json", "RS256"
			}), nil},
		{"signing algorithm without use", variant{"token_endpoint_auth_signing_alg": `"ROT13"`}, "",
			base(func(*cimd.Document) {}), []string{"token_endpoint_auth_signing_alg"}},
		{"signing algorithm of a public client", variant{"token_endpoint_auth_signing_alg": `"ES256"`}, "",
			base(func(d *cimd.Document) { d.SigningAlg = "ES256" }), nil},
		{"keys reduced", variant{"token_endpoint_auth_method": keyUse, "jwks": `{"x":1,"keys":[{"kty":"XX"},` +
			strings.Replace(ecKey, `"kid"`, `"x5u":"https://evil.example/","key_ops":["verify"],"use":"sig","alg":"ES256","kid"`, 1) + `]}`}, "",
			base(func(d *cimd.Document) {
				d.AuthMethod = "private_key_jwt"
				d.JWKS = json.RawMessage(`{"keys":[{"alg":"ES256","crv":"P-256","key_ops":["verify"],"kid":"k1","kty":"EC","use":"sig",` + xy + `}]}`)
			}), []string{"jwks.keys[0]"}},
		{"keys of no use to a public client", variant{"jwks": keySet(`{"kty":"XX"}`)}, "",
			base(func(*cimd.Document) {}), []string{"jwks", "jwks.keys[0]"}},
		{"D6 cimd without a name", variant{"client_name": ``}, cimd.ProfileCIMD, base(func(d *cimd.Document) { d.ClientName = "" }), nil},
		{"cimd with a blank name", variant{"client_name": `" "`}, cimd.ProfileCIMD, base(func(d *cimd.Document) { d.ClientName = "" }), []string{"client_name"}},
		{"A2 cimd without redirects", variant{"redirect_uris": ``, "grant_types": `["authorization_code",` + exchange + `]`}, cimd.ProfileCIMD,
			base(func(d *cimd.Document) {
				d.RedirectURIs = nil
				d.GrantTypes = []string{"authorization_code", "urn:ietf:params:oauth:grant-type:token-exchange"}
			}), nil},
		{"A2 cimd with an empty list", variant{"redirect_uris": `[]`, "grant_types": `["client_credentials"]`, "response_types": `[]`}, cimd.ProfileCIMD,
			base(func(d *cimd.Document) {
				d.RedirectURIs, d.GrantTypes, d.ResponseTypes = nil, []string{"client_credentials"}, []string{}
			}), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := c.change.body()
			parsed, err := cimd.ParseDocument(body, mustParse(t, clientURL), c.profile)
			if err != nil {
				t.Fatalf("ParseDocument(%.300s) = %v", body, err)
			}
			if !reflect.DeepEqual(parsed.Document, c.want) {
				t.Errorf("Document = %+v, want %+v", parsed.Document, c.want)
			}
			if !slices.Equal(parsed.Dropped, c.dropped) {
				t.Errorf("Dropped = %q, want %q", parsed.Dropped, c.dropped)
			}
			if want := fmt.Sprintf("%x", sha256.Sum256(body)); parsed.SHA256 != want {
				t.Errorf("SHA256 = %s, want %s", parsed.SHA256, want)
			}
		})
	}
}

func TestCIMDProfileStillNeedsRedirects(t *testing.T) {
	for name, change := range map[string]variant{
		"A1 absent":             {"redirect_uris": ``},
		"A1 B41 empty":          {"redirect_uris": `[]`},
		"A1 all unusable":       {"redirect_uris": `["myapp:/cb"]`, "grant_types": `["client_credentials"]`},
		"A1 refresh is no help": {"redirect_uris": ``, "grant_types": `["authorization_code","refresh_token"]`},
	} {
		_, err := cimd.ParseDocument(change.body(), mustParse(t, clientURL), cimd.ProfileCIMD)
		if err == nil || failure(t, err).Reason != "document_redirects_invalid" {
			t.Errorf("%s: ParseDocument = %v, want document_redirects_invalid", name, err)
		}
	}
}

func TestUsableKeys(t *testing.T) {
	for name, key := range map[string]string{
		"P-256": ecKey, "Ed25519": edKey, "RSA 2048": rsaKey(256), "RSA 8192": rsaKey(1024),
		"P-384": `{"kty":"EC","crv":"P-384","x":"qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3","y":"NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f"}`,
		"P-521": `{"kty":"EC","crv":"P-521","x":"AQtPvTUzL_rRHe7nG8iVUvruj2d9-wDBaB1iSET-giFUBoso-jDOvRT2cdFwQrkoOuM2vsUmx3uCEd5vnVNcHMTr","y":"Ab5QZ0b1XnMH9Vg4qhBJSmCPn_j07sE172GBH2VEGx_pc8_SzE62j6YE4ubGe3QF_MK9mW-egSpCwxOv23CsqRZq"}`,
	} {
		t.Run(name, func(t *testing.T) {
			change := variant{"token_endpoint_auth_method": keyUse, "jwks": keySet(key)}
			parsed, err := cimd.ParseDocument(change.body(), mustParse(t, clientURL), "")
			if err != nil || parsed.Document.JWKS == nil {
				t.Errorf("ParseDocument with %.100s = %v, JWKS %s", key, err, parsed.Document.JWKS)
			}
		})
	}
}

func TestAuthMethods(t *testing.T) {
	for _, c := range []struct {
		name     string
		singular string
		plural   []string
		want     []string
	}{
		{"D13 neither", "", nil, []string{"none"}},
		{"D14 plural only", "", []string{"private_key_jwt"}, []string{"private_key_jwt"}},
		{"D14 plural empty", "", []string{}, []string{}},
		{"D14 plural unknown", "", []string{"spiffe_jwt"}, []string{"spiffe_jwt"}},
		{"D15 singular first", "private_key_jwt", []string{"none", "private_key_jwt"}, []string{"private_key_jwt", "none"}},
		{"D16 unknown kept", "none", []string{"none", "spiffe_jwt"}, []string{"none", "spiffe_jwt"}},
		{"singular only", "private_key_jwt", nil, []string{"private_key_jwt"}},
	} {
		d := cimd.Document{AuthMethod: c.singular, AuthMethodsSupported: c.plural}
		if got := d.AuthMethods(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: AuthMethods() = %q, want %q", c.name, got, c.want)
		}
	}
}

// B9 to B13: what is not in this list cannot be dereferenced later.
func TestDocumentKeepsOnlyTheseMembers(t *testing.T) {
	want := []string{
		"client_id", "client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri",
		"redirect_uris", "grant_types", "response_types",
		"token_endpoint_auth_method", "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg",
		"scope", "jwks", "jwks_uri", "application_type", "software_id", "software_version",
		"dpop_bound_access_tokens", "require_pushed_authorization_requests", "contacts",
	}
	var got []string
	for field := range reflect.TypeFor[cimd.Document]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("Document keeps %q, want %q", got, want)
	}
}

func TestSecondHopMembersDoNotSurvive(t *testing.T) {
	members := []string{
		"sector_identifier_uri", "request_uris", "backchannel_logout_uri", "frontchannel_logout_uri",
		"backchannel_client_notification_endpoint", "post_logout_redirect_uris", "initiate_login_uri",
		"software_statement", "request_object_signing_alg", "default_acr_values", "tls_client_auth_subject_dn",
	}
	change := variant{}
	for _, name := range members {
		change[name] = `"https://canary.example/` + name + `"`
	}
	parsed, err := cimd.ParseDocument(change.body(), mustParse(t, clientURL), "")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(parsed.Document)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(kept), "canary") {
		t.Errorf("Document keeps a second hop: %s", kept)
	}
	slices.Sort(members)
	if !slices.Equal(parsed.Dropped, members) {
		t.Errorf("Dropped = %q, want %q", parsed.Dropped, members)
	}
}

func TestDocumentReadsBack(t *testing.T) {
	change := variant{
		"scope": `""`, "token_endpoint_auth_methods_supported": `["private_key_jwt"]`, "jwks": keySet(ecKey, edKey),
		"application_type": `"web"`, "dpop_bound_access_tokens": `true`, "contacts": `["a@client.example.com"]`,
		"grant_types": `["authorization_code","refresh_token"]`, "logo_uri": `"https://client.example.com/l.png"`,
	}
	parsed, err := cimd.ParseDocument(change.body(), mustParse(t, clientURL), "")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := json.Marshal(parsed.Document)
	if err != nil {
		t.Fatal(err)
	}
	var back cimd.Document
	if err := json.Unmarshal(stored, &back); err != nil || !reflect.DeepEqual(back, parsed.Document) {
		t.Errorf("Document reads back as %+v, %v, want %+v", back, err, parsed.Document)
	}
}

func TestZeroIDMatchesNoDocument(t *testing.T) {
	if _, err := cimd.ParseDocument(variant{"client_id": `""`}.body(), cimd.ID{}, ""); err == nil {
		t.Error("ParseDocument for the zero ID = nil, want an error")
	}
}
