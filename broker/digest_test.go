package broker_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// TestSecurityDigest: what a consent rests on changes the digest, what is
// only seen or only written differently does not (Q2).
func TestSecurityDigest(t *testing.T) {
	scope := func(s string) *string { return &s }
	good := func() cimd.Document {
		return cimd.Document{
			ClientID: "https://client.example.com/c", ClientName: "Example", RedirectURIs: []string{"https://client.example.com/a", "https://client.example.com/b"},
			AuthMethod: "private_key_jwt", SigningAlg: "ES256", JWKS: json.RawMessage(`{"keys":[{"kty":"EC","n":1}]}`),
			GrantTypes: []string{"authorization_code", "refresh_token"}, Scope: scope("mcp:read mcp:write"),
		}
	}
	first := broker.SecurityDigest(good())
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(first) {
		t.Fatalf("SecurityDigest = %q, want 64 hex digits", first)
	}
	for _, tt := range []struct {
		name   string
		change func(*cimd.Document)
		same   bool
	}{
		{"nothing", func(*cimd.Document) {}, true},
		{"name", func(d *cimd.Document) { d.ClientName = "Other" }, true},
		{"logo", func(d *cimd.Document) { d.LogoURI = "https://client.example.com/logo" }, true},
		{"order of redirect URIs", func(d *cimd.Document) { d.RedirectURIs[0], d.RedirectURIs[1] = d.RedirectURIs[1], d.RedirectURIs[0] }, true},
		{"repeated grant type", func(d *cimd.Document) { d.GrantTypes = append(d.GrantTypes, "refresh_token") }, true},
		{"order of scopes", func(d *cimd.Document) { d.Scope = scope("mcp:write  mcp:read") }, true},
		{"plural member says the same", func(d *cimd.Document) { d.AuthMethodsSupported = []string{"private_key_jwt"} }, true},
		{"keys written otherwise", func(d *cimd.Document) { d.JWKS = json.RawMessage(`{ "keys": [ {"n": 1, "kty": "EC"} ] }`) }, true},
		{"redirect URI more", func(d *cimd.Document) { d.RedirectURIs = append(d.RedirectURIs, "https://evil.example/cb") }, false},
		{"redirect URI fewer", func(d *cimd.Document) { d.RedirectURIs = d.RedirectURIs[:1] }, false},
		{"redirect URIs joined", func(d *cimd.Document) { d.RedirectURIs = []string{d.RedirectURIs[0] + "\n" + d.RedirectURIs[1]} }, false},
		{"weaker method", func(d *cimd.Document) { d.AuthMethod = "none" }, false},
		{"weaker method beside", func(d *cimd.Document) { d.AuthMethodsSupported = []string{"none"} }, false},
		{"signing algorithm", func(d *cimd.Document) { d.SigningAlg = "RS256" }, false},
		{"key", func(d *cimd.Document) { d.JWKS = json.RawMessage(`{"keys":[{"kty":"EC","n":2}]}`) }, false},
		{"key gone", func(d *cimd.Document) { d.JWKS = nil }, false},
		{"jwks_uri", func(d *cimd.Document) { d.JWKS, d.JWKSURI = nil, "https://client.example.com/jwks" }, false},
		{"grant type", func(d *cimd.Document) { d.GrantTypes = d.GrantTypes[:1] }, false},
		{"scope", func(d *cimd.Document) { d.Scope = scope("mcp:read") }, false},
		{"scope gone", func(d *cimd.Document) { d.Scope = nil }, false},
	} {
		d := good()
		tt.change(&d)
		if got := broker.SecurityDigest(d); (got == first) != tt.same {
			t.Errorf("%s: SecurityDigest = %s, the first %s, want the same: %v", tt.name, got, first, tt.same)
		}
	}
	none, empty := good(), good()
	none.Scope, empty.Scope = nil, scope("")
	if broker.SecurityDigest(none) == broker.SecurityDigest(empty) {
		t.Error("no scope and an empty scope have one digest")
	}
}
