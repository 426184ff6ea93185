package cimd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"guestlist/broker/cimd"
)

const testdata = "../../testdata"

func readJSON(t testing.TB, to any, path ...string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(append([]string{testdata}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, to); err != nil {
		t.Fatal(err)
	}
}

var quotedText = regexp.MustCompile(`"[^ ]*"`)

// failure checks what every error of the package promises and returns it.
func failure(t testing.TB, err error) *cimd.Error {
	t.Helper()
	var e *cimd.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is a %T, want *cimd.Error", err)
	}
	if e.Reason == "" || e.Rule == "" || e.Detail == "" {
		t.Errorf("error %#v has an empty member", e)
	}
	if !strings.Contains(e.Error(), e.Reason) || !strings.Contains(e.Error(), e.Detail) {
		t.Errorf("Error() = %q lacks reason or detail", e.Error())
	}
	if len(e.Detail) > 250 {
		t.Errorf("detail has %d bytes, want at most 250: %s", len(e.Detail), e.Detail)
	}
	quoted := 0
	for _, q := range quotedText.FindAllString(e.Detail, -1) {
		quoted += len(q)
	}
	if quoted > 80 {
		t.Errorf("detail quotes %d bytes, want at most 80: %s", quoted, e.Detail)
	}
	for i := range len(e.Detail) {
		if e.Detail[i] < ' ' || e.Detail[i] > '~' {
			t.Fatalf("detail %q is not printable ASCII", e.Detail)
		}
	}
	return e
}

func mustParse(t testing.TB, raw string) cimd.ID {
	t.Helper()
	id, err := cimd.Parse(raw)
	if err != nil {
		t.Fatalf("Parse(%q) = %v", raw, err)
	}
	return id
}

func TestVectorsClientIDURLs(t *testing.T) {
	var rows []struct {
		Name, Input, Rule string
		Valid             bool
	}
	readJSON(t, &rows, "vectors", "client_id_urls.json")
	if len(rows) != 99 {
		t.Errorf("client_id_urls.json has %d rows, want 99", len(rows))
	}
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			id, err := cimd.Parse(row.Input)
			if (err == nil) != row.Valid {
				t.Fatalf("Parse(%q) = %v, want valid %v (%s)", row.Input, err, row.Valid, row.Rule)
			}
			if err == nil && id.String() != row.Input {
				t.Errorf("Parse(%q).String() = %q", row.Input, id.String())
			}
			if err != nil && failure(t, err).Reason != "client_id_malformed" {
				t.Errorf("Parse(%q) = %v, want reason client_id_malformed", row.Input, err)
			}
		})
	}
}

type documentRow struct {
	Name, Rule, Profile string
	Valid               bool
	Input               struct {
		URL         string
		Status      int
		ContentType string `json:"content_type"`
		Body        json.RawMessage
		BodyText    *string `json:"body_text"`
		PadToBytes  int     `json:"pad_to_bytes"`
	}
}

func (r documentRow) body(t *testing.T) []byte {
	t.Helper()
	if r.Input.BodyText != nil {
		return []byte(*r.Input.BodyText)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, r.Input.Body); err != nil {
		t.Fatal(err)
	}
	pad := max(0, r.Input.PadToBytes-compact.Len())
	return append(compact.Bytes(), strings.Repeat(" ", pad)...)
}

// fetches reports whether the row is about status, media type or size, which
// package fetch decides before a body is parsed.
func (r documentRow) fetches() bool {
	media, _, err := mime.ParseMediaType(r.Input.ContentType)
	isJSON := err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
	return r.Input.Status != 200 || !isJSON || r.Input.PadToBytes > 5120
}

// refusals are the reasons of the rows that a document's text alone decides.
var refusals = map[string]string{
	"html-body": "document_not_json", "empty-body": "document_not_json", "truncated-json": "document_not_json",
	"json-array": "document_not_json", "json-string": "document_not_json", "json-null": "document_not_json",
	"trailing-garbage": "document_not_json", "duplicate-client-id-member": "document_not_json",
	"byte-order-mark": "document_not_json", "comment-json5": "document_not_json",

	"client-id-missing": "document_client_id_missing", "client-id-null": "document_client_id_missing",
	"client-id-number": "document_client_id_missing", "client-id-array": "document_client_id_missing",
	"client-id-case-key": "document_client_id_missing",

	"client-id-other-host": "document_client_id_mismatch", "client-id-default-port": "document_client_id_mismatch",
	"client-id-trailing-slash": "document_client_id_mismatch", "client-id-case-host": "document_client_id_mismatch",
	"client-id-case-path": "document_client_id_mismatch", "client-id-percent-variant": "document_client_id_mismatch",
	"client-id-http": "document_client_id_mismatch", "client-id-query-variant": "document_client_id_mismatch",
	"client-id-whitespace": "document_client_id_mismatch",

	"client-secret": "document_secret_present", "client-secret-empty": "document_secret_present",
	"client-secret-expires-at": "document_secret_present",

	"jwks-private-member": "document_private_key", "jwks-private-unused": "document_private_key",
	"jwks-symmetric": "document_private_key",

	"method-client-secret-basic": "document_auth_method_unsupported", "method-client-secret-post": "document_auth_method_unsupported",
	"method-client-secret-jwt": "document_auth_method_unsupported", "methods-supported-has-secret": "document_auth_method_unsupported",
	"method-unknown": "document_auth_method_unsupported", "method-tls-unsupported": "document_auth_method_unsupported",
	"private-key-jwt-no-keys": "document_auth_method_unsupported", "jwks-empty": "document_auth_method_unsupported",

	"redirect-uris-missing": "document_redirects_invalid", "redirect-uris-empty": "document_redirects_invalid",
	"redirect-uris-string": "document_redirects_invalid", "redirect-uris-non-string-entry": "document_redirects_invalid",
	"redirect-relative": "document_redirects_invalid", "redirect-fragment": "document_redirects_invalid",
	"redirect-http-remote": "document_redirects_invalid", "redirect-javascript": "document_redirects_invalid",
	"redirect-data": "document_redirects_invalid", "redirect-wildcard-host": "document_redirects_invalid",
	"redirect-userinfo": "document_redirects_invalid", "redirect-single-label-scheme-only": "document_redirects_invalid",

	"client-name-missing-mcp": "document_name_missing", "client-name-empty": "document_name_missing",

	"grant-types-none-supported": "document_nothing_usable", "response-types-none-supported": "document_nothing_usable",
	"grant-response-inconsistent": "document_nothing_usable",

	"method-not-in-supported-list": "document_member_invalid", "method-not-string": "document_member_invalid",
	"private-key-jwt-both-key-sources": "document_member_invalid", "jwks-uri-http": "document_member_invalid",
	"jwks-uri-loopback": "document_member_invalid", "signing-alg-none": "document_member_invalid",
	"signing-alg-hs256": "document_member_invalid", "client-name-not-string": "document_member_invalid",
	"client-name-control-chars": "document_member_invalid", "grant-types-string": "document_member_invalid",
	"scope-array": "document_member_invalid", "logo-javascript": "document_member_invalid",
	"client-uri-data": "document_member_invalid", "application-type-unknown": "document_member_invalid",
}

func TestVectorsDocuments(t *testing.T) {
	var rows []documentRow
	readJSON(t, &rows, "vectors", "documents.json")
	ran, fetched, refused := 0, 0, 0
	for _, row := range rows {
		if row.fetches() {
			fetched++
			if row.Valid {
				t.Errorf("row %s is left to fetch and yet valid", row.Name)
			}
			continue
		}
		ran++
		if !row.Valid {
			refused++
		}
		t.Run(row.Name, func(t *testing.T) {
			_, err := cimd.ParseDocument(row.body(t), mustParse(t, row.Input.URL), cimd.Profile(row.Profile))
			if (err == nil) != row.Valid {
				t.Fatalf("ParseDocument = %v, want valid %v (%s)", err, row.Valid, row.Rule)
			}
			if err != nil && failure(t, err).Reason != refusals[row.Name] {
				t.Errorf("ParseDocument = %v, want reason %s", err, refusals[row.Name])
			}
		})
	}
	// 15 statuses, 3 media types, 1 size.
	if len(rows) != 123 || fetched != 19 || ran != 104 || refused != len(refusals) {
		t.Errorf("of %d rows %d were left to fetch and %d run, %d refusing with %d reasons known; want 123, 19, 104, 69, 69",
			len(rows), fetched, ran, refused, len(refusals))
	}
}

func TestVectorsRedirectURIs(t *testing.T) {
	var rows []struct {
		Name, Rule string
		Valid      bool
		Input      struct {
			Registered []string
			Requested  *string
		}
	}
	readJSON(t, &rows, "vectors", "redirect_uris.json")
	if len(rows) != 27 {
		t.Errorf("redirect_uris.json has %d rows, want 27", len(rows))
	}
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			uri, _, ok := cimd.MatchRedirect(row.Input.Registered, row.Input.Requested)
			if ok != row.Valid {
				t.Fatalf("MatchRedirect(%q, %v) = %v, want %v (%s)", row.Input.Registered, row.Input.Requested, ok, row.Valid, row.Rule)
			}
			if ok && row.Input.Requested != nil && uri != *row.Input.Requested {
				t.Errorf("MatchRedirect gives %q, want %q", uri, *row.Input.Requested)
			}
		})
	}
}

func TestRealWorldDocuments(t *testing.T) {
	refused := map[string]string{"mcpc.stored-without-client-id.json": "document_client_id_missing"}
	servedAt := map[string]string{"mcpc.stored-without-client-id.json": "https://apify.github.io/mcpc/client-metadata.json"}
	files, err := filepath.Glob(filepath.Join(testdata, "realworld", "*.json"))
	if err != nil || len(files) != 9 {
		t.Fatalf("realworld has %d documents (%v), want 9", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var published struct {
				ClientID     string   `json:"client_id"`
				RedirectURIs []string `json:"redirect_uris"`
			}
			if err := json.Unmarshal(body, &published); err != nil {
				t.Fatal(err)
			}
			url := published.ClientID
			if at := servedAt[name]; at != "" {
				url = at
			}
			id, err := cimd.Parse(url)
			if name == "atproto-localhost.virtual.json" {
				if err == nil || failure(t, err).Rule != "U1" {
					t.Errorf("Parse(%q) = %v, want rule U1", url, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("Parse(%q) = %v", url, err)
			}
			for _, profile := range []cimd.Profile{"", cimd.ProfileMCP, cimd.ProfileCIMD} {
				parsed, err := cimd.ParseDocument(body, id, profile)
				if want := refused[name]; want != "" {
					if err == nil || failure(t, err).Reason != want {
						t.Errorf("ParseDocument under %q = %v, want %s", profile, err, want)
					}
					continue
				}
				if err != nil {
					t.Fatalf("ParseDocument under %q = %v", profile, err)
				}
				if len(parsed.Document.RedirectURIs) != len(published.RedirectURIs) {
					t.Errorf("kept redirect URIs = %q, want %q", parsed.Document.RedirectURIs, published.RedirectURIs)
				}
			}
		})
	}
}
