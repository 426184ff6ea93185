package cimd_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

// secondHop are members that other servers dereference, redirect to or trust,
// each with what a stranger would put there.
var secondHop = map[string]any{
	"sector_identifier_uri":                      "https://inside.example/sectors.json",
	"backchannel_logout_uri":                     "https://inside.example/logout",
	"backchannel_logout_session_required":        true,
	"frontchannel_logout_uri":                    "https://inside.example/logout",
	"frontchannel_logout_session_required":       true,
	"request_uris":                               []string{"https://inside.example/request.jwt"},
	"post_logout_redirect_uris":                  []string{"https://inside.example/bye"},
	"initiate_login_uri":                         "https://inside.example/login",
	"backchannel_client_notification_endpoint":   "https://inside.example/notify",
	"backchannel_token_delivery_mode":            "push",
	"backchannel_user_code_parameter":            true,
	"software_statement":                         "e30.e30.",
	"client_id_expires_at":                       0,
	"registration_access_token":                  "x",
	"registration_client_uri":                    "https://inside.example/register",
	"subject_type":                               "pairwise",
	"id_token_signed_response_alg":               "none",
	"userinfo_signed_response_alg":               "none",
	"request_object_signing_alg":                 "none",
	"default_max_age":                            0,
	"default_acr_values":                         []string{"0"},
	"tls_client_auth_san_ip":                     "127.0.0.1",
	"tls_client_certificate_bound_tokens":        true,
	"authorization_signed_response_alg":          "none",
	"authorization_details_types":                []string{"all"},
	"introspection_signed_response_alg":          "none",
	"jwks_uris":                                  []string{"https://inside.example/jwks"},
	"client_name#de":                             "Bank",
	"logo_uri#de":                                "https://inside.example/logo.png",
	"trusted":                                    true,
	"skip_consent":                               true,
	"first_party":                                true,
	"allowed_cors_origins":                       []string{"*"},
	"https://inside.example/claim":               map[string]any{"jwks_uri": "https://inside.example/jwks"},
	"spiffe_id":                                  "spiffe://inside.example/x",
	"client_attestation_jwks_uri":                "https://inside.example/jwks",
	"federation_fetch_endpoint":                  "https://inside.example/fetch",
	"trust_chain":                                []string{"e30.e30."},
	"organization_uri":                           "https://inside.example/",
	"homepage_uri":                               "https://inside.example/",
	"device_authorization_notification_uri":      "https://inside.example/",
	"token_exchange_endpoint":                    "https://inside.example/",
	"resource_metadata_uri":                      "https://inside.example/",
	"require_signed_request_object":              true,
	"request_object_encryption_alg":              "dir",
	"revoke_refresh_tokens_uri":                  "https://inside.example/",
	"credential_offer_endpoint":                  "https://inside.example/",
	"dpop_jkt":                                   "x",
	"grant_management_action_required":           "replace",
	"client_registration_types":                  []string{"automatic"},
	"backchannel_authentication_request_signing": "none",
}

// everyMember is a document in which each kept member but jwks says something,
// with more members or, where nil, fewer.
func everyMember(more map[string]any) []byte {
	doc := map[string]any{
		"client_id": clientURL, "client_name": "Example", "client_uri": "https://client.example.com/about",
		"logo_uri": "https://client.example.com/logo.png", "tos_uri": "https://client.example.com/tos", "policy_uri": "https://client.example.com/policy",
		"redirect_uris": []string{"https://client.example.com/cb"}, "grant_types": []string{"authorization_code"}, "response_types": []string{"code"},
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
		"token_endpoint_auth_signing_alg": "ES256", "scope": "mcp:read", "jwks_uri": "https://client.example.com/jwks",
		"application_type": "web", "software_id": "x", "software_version": "1", "dpop_bound_access_tokens": true,
		"require_pushed_authorization_requests": true, "contacts": []string{"admin@client.example.com"},
	}
	maps.Copy(doc, more)
	maps.DeleteFunc(doc, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return b
}

// TestKeptMembers is B9, B10, B11, B12, D19, D20 and design §10: what a
// document may say is a list in testdata, not a set of checks. A member that
// is not on it is in no Document, whatever it holds.
func TestKeptMembers(t *testing.T) {
	var names []string
	for i := range reflect.TypeFor[cimd.Document]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[cimd.Document]().Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	slices.Sort(names)
	golden := filepath.Join("testdata", "kept_members.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || strings.Join(names, "\n")+"\n" != string(want) {
		t.Errorf("a document keeps\n%s\nwant (%v)\n%s", strings.Join(names, "\n"), err, want)
	}
	kept := map[string]bool{}
	for _, more := range []map[string]any{nil, {"jwks_uri": nil, "jwks": json.RawMessage(publicSet)}} {
		parsed, err := cimd.ParseDocument(everyMember(more), mustParse(t, clientURL), cimd.ProfileMCP)
		if err != nil {
			t.Fatalf("ParseDocument(%s) = %v", everyMember(more), err)
		}
		for name := range written(t, parsed.Document) {
			kept[name] = true
		}
	}
	if got := slices.Sorted(maps.Keys(kept)); !slices.Equal(got, names) {
		t.Errorf("two documents with every member keep %q, want %q", got, names)
	}
	plain, err := cimd.ParseDocument(everyMember(nil), mustParse(t, clientURL), cimd.ProfileMCP)
	if err != nil {
		t.Fatal(err)
	}
	all, err := cimd.ParseDocument(everyMember(secondHop), mustParse(t, clientURL), cimd.ProfileMCP)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(all.Document, plain.Document) {
		t.Errorf("with further members the document is\n%+v\nwant\n%+v", all.Document, plain.Document)
	}
	if want := slices.Sorted(maps.Keys(secondHop)); !slices.Equal(all.Dropped, want) {
		t.Errorf("dropped = %q, want %q", all.Dropped, want)
	}
}

// publicSet is a JWK Set with one public key.
const publicSet = `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

// written is a document as it is stored.
func written(t *testing.T, d cimd.Document) map[string]any {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// FuzzProjection holds B9 to B12 for members nobody has thought of: beside a
// kept document, a member of any other name and value changes nothing that is
// kept. It may only refuse the document, by its name (another spelling of a
// known one) or by a dangerous scheme.
func FuzzProjection(f *testing.F) {
	for name, v := range secondHop {
		b, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(name, string(b))
	}
	f.Add("Redirect_URIs", `["https://evil.example/cb"]`)
	f.Add("redirect_uri\u017f", `["https://evil.example/cb"]`)
	f.Add("x_uri", `"javascript:alert(1)"`)
	f.Add("client_secret", `""`)
	raw, err := os.ReadFile(filepath.Join("testdata", "kept_members.golden"))
	if err != nil {
		f.Fatal(err)
	}
	names := strings.Fields(string(raw))
	id := mustParse(f, clientURL)
	plain, err := cimd.ParseDocument(everyMember(nil), id, cimd.ProfileMCP)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if slices.Contains(names, name) || !json.Valid([]byte(value)) {
			return
		}
		key, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		body := strings.TrimSuffix(string(everyMember(nil)), "}") + "," + string(key) + ":" + value + "}"
		parsed, err := cimd.ParseDocument([]byte(body), id, cimd.ProfileMCP)
		if err != nil {
			refusedFor(t, name, value, failure(t, err))
			return
		}
		if !reflect.DeepEqual(parsed.Document, plain.Document) || len(parsed.Dropped) != 1 {
			t.Errorf("the member %q: %s changes the document to\n%+v, dropping %q", name, value, parsed.Document, parsed.Dropped)
		}
	})
}

// refusedFor checks that a document with one unknown member is refused for
// nothing but what stands in its rules.
func refusedFor(t *testing.T, name, value string, e *cimd.Error) {
	t.Helper()
	base, _, _ := strings.Cut(name, "#")
	switch e.Rule {
	case "F14": // a dangerous scheme in what by its name holds URLs
		if !strings.HasSuffix(base, "_uri") && !strings.HasSuffix(base, "_uris") {
			t.Errorf("the member %q: %s is refused as a URL: %v", name, value, e)
		}
	case "D2", "D8": // another spelling of a known name, or a secret
	default:
		if e.Reason != "document_not_json" {
			t.Errorf("the member %q: %s refuses the document: %v", name, value, e)
		}
	}
}
