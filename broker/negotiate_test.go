package broker_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// talk is one call of Negotiate about a parsed document.
type talk struct {
	settings broker.Settings
	in       broker.Input
	doc      cimd.Document
	offer    broker.Offer
}

// parsed fills document and redirects as Admit does.
func parsed(t testing.TB, id string, body []byte, uri string) (cimd.Document, broker.Input) {
	t.Helper()
	c, err := cimd.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cimd.ParseDocument(body, c, cimd.ProfileMCP)
	if err != nil {
		t.Fatalf("ParseDocument(%s) = %v", body, err)
	}
	in := broker.Input{ClientID: id}
	for _, u := range p.Document.RedirectURIs {
		r, err := cimd.ClassifyRedirect(u, c)
		if err != nil {
			t.Fatal(err)
		}
		in.Redirects = append(in.Redirects, r)
	}
	r, err := cimd.ClassifyRedirect(uri, c)
	if err != nil {
		t.Fatal(err)
	}
	in.Request = broker.RequestInput{RedirectURI: uri, Redirect: broker.RedirectInput{Kind: r.Kind, Host: r.Host, Relation: r.Relation}}
	return p.Document, in
}

func newTalk(t testing.TB, members map[string]any) *talk {
	uri := redirect
	if v, ok := members["use"].(string); ok {
		uri = v
	}
	delete(members, "use")
	k := &talk{settings: terms(), offer: offer()}
	k.doc, k.in = parsed(t, clientID, document(members), uri)
	return k
}

func (k *talk) negotiate() broker.Negotiated {
	return broker.Negotiate(k.settings, k.in, k.doc, k.offer)
}

// cuts writes what is not given as member=value<by.
func cuts(n broker.Negotiated) string {
	var out []string
	for _, c := range n.Cut {
		out = append(out, c.Member+"="+c.Value+"<"+c.By)
	}
	return strings.Join(out, " ")
}

func reasonOf(n broker.Negotiated) broker.Reason {
	if n.Err == nil {
		return ""
	}
	return n.Err.Reason
}

const jwks = `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

// keys makes the server one that knows private_key_jwt.
func (k *talk) keys() {
	k.offer.AuthMethods, k.offer.SigningAlgs = []string{"none", "private_key_jwt"}, []string{"ES256", "RS256"}
}

func TestNegotiate(t *testing.T) {
	keyed := func(more map[string]any) map[string]any {
		m := map[string]any{"jwks": json.RawMessage(jwks), "token_endpoint_auth_method": nil}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	type doc = map[string]any
	elsewhere := func(uri string) doc {
		return doc{"redirect_uris": []string{redirect}, "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri}
	}
	const loop, private = "http://127.0.0.1:4711/cb", "com.example.app:/cb"
	uris := func(use string, all ...string) doc { return doc{"redirect_uris": all, "use": use} }
	shows := func(client, logo, terms, privacy string) doc {
		return doc{"redirect_uris": []string{redirect}, "client_uri": client, "logo_uri": logo, "tos_uri": terms, "policy_uri": privacy}
	}
	two := func(k *talk) {
		k.offer.Resources = append(k.offer.Resources, broker.Resource{ID: "https://two.example.net/api", Scopes: []string{"mcp:read"}})
	}
	for _, test := range []struct {
		name   string
		doc    doc
		change func(*talk)
		reason broker.Reason
		scopes string // of Effective, when checked
		res    string
		auth   string
		cut    string
	}{
		{name: "harmless", doc: doc{"redirect_uris": []string{redirect}}, scopes: "mcp:read", res: resource, auth: "none"},

		// Client authentication.
		{name: "D13 neither member means none", doc: doc{"token_endpoint_auth_method": nil, "redirect_uris": []string{redirect}}, auth: "none"},
		{name: "D14 only private_key_jwt never falls back to none", doc: keyed(doc{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}),
			reason: broker.ReasonDocumentAuthMethod},
		{name: "D16 an unknown method beside none", doc: doc{"token_endpoint_auth_methods_supported": []string{"none", "x"}, "redirect_uris": []string{redirect}},
			auth: "none", cut: "token_endpoint_auth_methods_supported=x<server"},
		{name: "B20 D17 strongest is private_key_jwt and not there", doc: keyed(doc{"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}),
			reason: broker.ReasonDocumentAuthMethod},
		{name: "B20 settings name none", doc: keyed(doc{"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}),
			change: func(k *talk) { k.settings.TokenEndpointAuthMethods = []string{"none"} }, auth: "none"},
		{name: "strongest where the server has it", doc: keyed(doc{"token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}),
			change: func(k *talk) { k.offer.AuthMethods = []string{"none", "private_key_jwt"} }, auth: "private_key_jwt"},
		{name: "B20 CU-05 both where the settings name both", doc: keyed(doc{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}),
			change: func(k *talk) { k.keys(); k.settings.TokenEndpointAuthMethods = []string{"none", "private_key_jwt"} }, auth: "private_key_jwt none"},
		{name: "D14 CU-05 the key alone", doc: keyed(doc{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}),
			change: func(k *talk) { k.keys() }, auth: "private_key_jwt"},
		{name: "A9 an algorithm the server has", doc: keyed(doc{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256"}),
			change: func(k *talk) { k.keys() }, auth: "private_key_jwt"},
		{name: "A9 an algorithm the server has not", doc: keyed(doc{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256"}),
			change: func(k *talk) { k.keys(); k.offer.SigningAlgs = []string{"RS256"} }, reason: broker.ReasonDocumentAuthMethod},
		{name: "A9 such an algorithm, none beside and named", doc: keyed(doc{"redirect_uris": []string{redirect}, "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "token_endpoint_auth_signing_alg": "ES256"}),
			change: func(k *talk) {
				k.keys()
				k.offer.SigningAlgs = []string{"RS256"}
				k.settings.TokenEndpointAuthMethods = []string{"none", "private_key_jwt"}
			}, auth: "none", cut: "token_endpoint_auth_methods_supported=private_key_jwt<server"},
		{name: "CU-08 keys on another host", doc: elsewhere("https://keys.example.net/jwks"), change: func(k *talk) { k.keys() }, reason: broker.ReasonDocumentAuthMethod},
		{name: "CU-08 keys on a subdomain", doc: elsewhere("https://keys.app.example.com/jwks"), change: func(k *talk) { k.keys() }, reason: broker.ReasonDocumentAuthMethod},
		{name: "CU-08 keys on another port", doc: elsewhere("https://app.example.com:8443/jwks"), change: func(k *talk) { k.keys() }, reason: broker.ReasonDocumentAuthMethod},
		{name: "CU-08 keys on the same origin", doc: elsewhere("https://app.example.com/jwks"), change: func(k *talk) { k.keys() }, auth: "private_key_jwt"},
		{name: "CU-08 keys on the default port, written", doc: elsewhere("https://app.example.com:443/jwks"), change: func(k *talk) { k.keys() }, auth: "private_key_jwt"},
		{name: "CU-08 waived", doc: elsewhere("https://keys.example.net/jwks"), change: func(k *talk) { k.keys(); k.settings.JWKS.SameOrigin = false }, auth: "private_key_jwt"},
		{name: "require.client_auth met", doc: keyed(doc{"redirect_uris": []string{redirect}, "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}),
			change: func(k *talk) {
				k.keys()
				k.settings.Require.ClientAuth = true
				k.settings.TokenEndpointAuthMethods = []string{"none", "private_key_jwt"}
			}, auth: "private_key_jwt", cut: "token_endpoint_auth_methods_supported=none<settings"},
		{name: "D18 require.client_auth of a client without a key", doc: doc{"redirect_uris": []string{redirect}},
			change: func(k *talk) { k.keys(); k.settings.Require.ClientAuth = true }, reason: broker.ReasonDocumentAuthMethod},
		{name: "D18 settings demand a key, the document has none", change: func(k *talk) {
			k.settings.TokenEndpointAuthMethods = []string{"private_key_jwt"}
			k.offer.AuthMethods = []string{"none", "private_key_jwt"}
		}, reason: broker.ReasonDocumentAuthMethod},

		// What a person is shown.
		{name: "CU-09 links of the same origin", doc: shows("https://app.example.com", "https://app.example.com/logo.png", "https://app.example.com:443/terms#2", "https://app.example.com/p?x=1")},
		{name: "CU-09 links of other origins", doc: shows("https://example.com/", "https://cdn.example.com/logo.png", "https://app.example.com:8443/terms", "https://app.example.com.evil.example/p"),
			cut: "client_uri=https://example.com/<settings logo_uri=https://cdn.example.com/logo.png<settings " +
				"tos_uri=https://app.example.com:8443/terms<settings policy_uri=https://app.example.com.evil.example/p<settings"},
		{name: "CU-09 waived", doc: shows("https://example.com/", "https://cdn.example.com/logo.png", "https://app.example.com:8443/terms", "https://privacy.example.net/p"),
			change: func(k *talk) { k.settings.Display.SameOrigin = false; k.settings.Redirect.Relation = "cross_site" }, cut: ""},

		// Grant and response types.
		{name: "Q1 B19 extra grant types fall away", doc: doc{"redirect_uris": []string{redirect},
			"grant_types": []string{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"}, "response_types": []string{"code", "token"}},
			cut: "grant_types=refresh_token<server grant_types=urn:ietf:params:oauth:grant-type:device_code<server response_types=token<server"},
		{name: "Q6 refresh_token where the server has it and the settings have not", doc: doc{"redirect_uris": []string{redirect}, "grant_types": []string{"authorization_code", "refresh_token"}},
			change: func(k *talk) { k.offer.GrantTypes = append(k.offer.GrantTypes, "refresh_token") }, cut: "grant_types=refresh_token<settings"},
		{name: "Q1 nothing can start a flow", doc: doc{"grant_types": []string{"client_credentials"}}, reason: broker.ReasonDocumentNothingUsable},
		{name: "Q1 settings without the code grant", change: func(k *talk) { k.settings.GrantTypes = []string{} }, reason: broker.ReasonDocumentNothingUsable},
		{name: "Q1 settings without the code response", change: func(k *talk) { k.settings.ResponseTypes = []string{} }, reason: broker.ReasonDocumentNothingUsable},

		// Redirect URIs.
		{name: "PF-19 loopback is off", doc: uris(loop, redirect, "http://127.0.0.1/cb"), reason: broker.ReasonRedirectNotAllowed},
		{name: "PF-19 loopback is on", doc: uris(loop, redirect, "http://127.0.0.1/cb"), change: func(k *talk) { k.settings.Redirect.Loopback = true }},
		{name: "PF-19 localhost and [::1]", doc: uris("http://localhost:1/", "http://localhost/", "http://[::1]/"), change: func(k *talk) { k.settings.Redirect.Loopback = true }},
		{name: "PF-19 unused loopback falls away", cut: "redirect_uris=http://127.0.0.1/cb<settings"},
		{name: "private scheme is off", doc: uris(private, redirect, private), reason: broker.ReasonRedirectNotAllowed},
		{name: "private scheme is on", doc: uris(private, redirect, private), change: func(k *talk) { k.settings.Redirect.PrivateScheme = true }},
		{name: "PF-20 cross site", doc: uris("https://other.example/cb", redirect, "https://other.example/cb"), reason: broker.ReasonRedirectNotAllowed},
		{name: "PF-20 same site", doc: uris("https://auth.example.com/cb", redirect, "https://auth.example.com/cb"), reason: broker.ReasonRedirectNotAllowed},
		{name: "PF-20 another port is another origin", doc: uris("https://app.example.com:8443/cb", "https://app.example.com:8443/cb"), reason: broker.ReasonRedirectNotAllowed},
		{name: "same_site allows same site", doc: uris("https://auth.example.com/cb", "https://auth.example.com/cb"), change: func(k *talk) { k.settings.Redirect.Relation = "same_site" }},
		{name: "same_site refuses cross site", doc: uris("https://other.example/cb", "https://other.example/cb"), change: func(k *talk) { k.settings.Redirect.Relation = "same_site" },
			reason: broker.ReasonRedirectNotAllowed},
		{name: "cross_site allows cross site", doc: uris("https://other.example/cb", "https://other.example/cb"), change: func(k *talk) { k.settings.Redirect.Relation = "cross_site" }},
		{name: "an unknown relation is the strictest", doc: uris("https://auth.example.com/cb", "https://auth.example.com/cb"), change: func(k *talk) { k.settings.Redirect.Relation = "any" },
			reason: broker.ReasonRedirectNotAllowed},
		{name: "hosts name it", doc: uris("https://other.example/cb", "https://other.example/cb"), change: func(k *talk) {
			k.settings.Redirect = broker.RedirectSettings{Relation: "cross_site", Hosts: []string{"other.example"}}
		}},
		{name: "hosts do not name it", doc: uris("https://other.example/cb", "https://other.example/cb"), change: func(k *talk) {
			k.settings.Redirect = broker.RedirectSettings{Relation: "cross_site", Hosts: []string{"another.example"}}
		}, reason: broker.ReasonRedirectNotAllowed},
		{name: "hosts name nobody", change: func(k *talk) { k.settings.Redirect.Hosts = []string{} }, reason: broker.ReasonRedirectNotAllowed},
		{name: "hosts bind https alone", doc: uris(loop, redirect, "http://127.0.0.1/cb"), change: func(k *talk) {
			k.settings.Redirect = broker.RedirectSettings{Relation: "same_origin", Loopback: true, Hosts: []string{}}
		}},
		{name: "https on loopback counts as loopback", doc: uris("https://localhost/cb", "https://localhost/cb"), change: func(k *talk) { k.settings.Redirect.Relation = "cross_site" },
			reason: broker.ReasonRedirectNotAllowed},
		{name: "a redirect URI that was never classified", change: func(k *talk) { k.in.Request.Redirect = broker.RedirectInput{} }, reason: broker.ReasonRedirectNotAllowed},

		{name: "Q1 no redirect URI in use and none allowed", doc: doc{"redirect_uris": []string{"http://127.0.0.1/cb"}},
			change: func(k *talk) { k.in.Request.RedirectURI = "" }, reason: broker.ReasonDocumentNothingUsable},

		// Resources.
		{name: "M17 absent with one", res: resource},
		{name: "M17 absent with two", change: two, reason: broker.ReasonResourceUnknown},
		{name: "M17 absent with none", change: func(k *talk) { k.offer.Resources = nil }, reason: broker.ReasonResourceUnknown},
		{name: "M17 absent with two and one audience", change: func(k *talk) { two(k); k.settings.Audiences = []string{resource} }, res: resource},
		{name: "M17 unknown", change: ask("https://x.example"), reason: broker.ReasonResourceUnknown, cut: "redirect_uris=http://127.0.0.1/cb<settings resource=https://x.example<settings"},
		{name: "M17 outside the audiences", change: func(k *talk) {
			two(k)
			k.settings.Audiences = []string{resource}
			ask("https://two.example.net/api")(k)
		},
			reason: broker.ReasonResourceUnknown},
		{name: "no audience at all", change: func(k *talk) { k.settings.Audiences = []string{} }, reason: broker.ReasonResourceUnknown},
		{name: "M18 upper case and root slash", change: ask("HTTPS://MCP.Example.NET/"), res: resource},
		{name: "M18 only the root slash is folded", change: func(k *talk) { two(k); ask("https://two.example.net/api/")(k) }, reason: broker.ReasonResourceUnknown},
		{name: "M18 the path keeps its case", change: func(k *talk) { two(k); ask("https://two.example.net/API")(k) }, reason: broker.ReasonResourceUnknown},
		{name: "25 a path below is another resource", change: func(k *talk) { two(k); ask("https://two.example.net/api/x")(k) }, reason: broker.ReasonResourceUnknown},
		{name: "escapes are not folded", change: func(k *talk) { two(k); ask("https://two.example.net/%61pi")(k) }, reason: broker.ReasonResourceUnknown},
		{name: "M17 fragment", change: ask(resource + "/#x"), reason: broker.ReasonResourceUnknown},
		{name: "M17 query", change: ask(resource + "/?"), reason: broker.ReasonResourceUnknown},
		{name: "M17 user info", change: ask("https://a@mcp.example.net/"), reason: broker.ReasonResourceUnknown},
		{name: "M17 another port", change: ask(resource + ":443"), reason: broker.ReasonResourceUnknown},
		{name: "M17 relative", change: ask("mcp.example.net"), reason: broker.ReasonResourceUnknown},
		{name: "M17 no URL", change: ask("https://[::"), reason: broker.ReasonResourceUnknown},
		{name: "M17 twice", change: ask(resource, "HTTPS://mcp.example.net"), res: resource},
		{name: "two of two", change: func(k *talk) { two(k); ask("https://two.example.net/api", resource)(k) }, res: "https://two.example.net/api " + resource},

		// Scopes.
		{name: "Q8 asked within the ceiling", change: want("mcp:write", "mcp:read"), scopes: "mcp:write mcp:read"},
		{name: "M34 asked twice", change: want("mcp:read", "mcp:read"), scopes: "mcp:read"},
		{name: "Q8 beyond the ceiling is dropped", change: want("admin", "mcp:read", "admin"), scopes: "mcp:read",
			cut: "redirect_uris=http://127.0.0.1/cb<settings scope=admin<settings"},
		{name: "beyond the ceiling rejects", change: func(k *talk) { k.settings.Scopes.Unknown = "reject"; want("admin", "mcp:read")(k) }, reason: broker.ReasonScopeNotAllowed},
		{name: "Q8 asked and nothing left", change: want("admin"), reason: broker.ReasonScopeNotAllowed},
		{name: "B18 nothing asked, nothing by default", change: func(k *talk) { k.settings.Scopes.Default = []string{} }, scopes: ""},
		{name: "a default beyond the ceiling is dropped", change: func(k *talk) { k.settings.Scopes.Default = []string{"mcp:read", "admin"} }, scopes: "mcp:read"},
		{name: "B18 a default never rejects a request that asked nothing", change: func(k *talk) {
			k.settings.Scopes.Default, k.settings.Scopes.Unknown = []string{"mcp:read", "admin"}, "reject"
		}, scopes: "mcp:read"},
		{name: "Q8 document is advisory", doc: doc{"scope": "mcp:read"}, change: want("mcp:write"), scopes: "mcp:write"},
		{name: "Q8 document intersects", doc: doc{"scope": "mcp:read x"}, change: func(k *talk) { k.settings.Scopes.Document = "intersect"; want("mcp:write", "mcp:read")(k) },
			scopes: "mcp:read", cut: "redirect_uris=http://127.0.0.1/cb<settings scope=mcp:write<document"},
		{name: "Q8 a document without scope bounds nothing", change: func(k *talk) { k.settings.Scopes.Document = "intersect"; want("mcp:write")(k) }, scopes: "mcp:write"},
		{name: "Q8 a document with an empty scope bounds all", doc: doc{"scope": ""}, change: func(k *talk) { k.settings.Scopes.Document = "intersect"; want("mcp:write")(k) },
			reason: broker.ReasonScopeNotAllowed},
		{name: "Q8 the document never widens", doc: doc{"scope": "admin mcp:read"}, change: func(k *talk) { k.settings.Scopes.Document = "intersect"; want("admin", "mcp:read")(k) }, scopes: "mcp:read"},
		{name: "a scope that one resource has not", change: func(k *talk) {
			two(k)
			ask(resource, "https://two.example.net/api")(k)
			want("mcp:write", "mcp:read")(k)
		}, scopes: "mcp:read", cut: "redirect_uris=http://127.0.0.1/cb<settings scope=mcp:write<resource"},
		{name: "offline_access is no scope of a resource", change: func(k *talk) {
			two(k)
			k.settings.Scopes.Ceiling = append(k.settings.Scopes.Ceiling, "offline_access")
			ask("https://two.example.net/api")(k)
			want("offline_access", "mcp:read")(k)
		}, scopes: "offline_access mcp:read"},

		// Demands.
		{name: "document demands DPoP", doc: doc{"dpop_bound_access_tokens": true}, reason: broker.ReasonDocumentDemands},
		{name: "document demands PAR", doc: doc{"require_pushed_authorization_requests": true}, reason: broker.ReasonDocumentDemands},
		{name: "settings demand PAR", change: func(k *talk) { k.settings.Require.PAR = true }, reason: broker.ReasonSettingsDemand},
		{name: "settings demand DPoP", change: func(k *talk) { k.settings.Require.DPoP = true }, reason: broker.ReasonSettingsDemand},
		{name: "settings demand a key", change: func(k *talk) { k.settings.Require.ClientAuth = true }, reason: broker.ReasonSettingsDemand},
		{name: "settings demand signed requests", change: func(k *talk) { k.settings.Require.SignedRequest = true }, reason: broker.ReasonSettingsDemand},
		{name: "settings demand a sign-in class", change: func(k *talk) { k.settings.Require.ACR = []string{"phr"} }, reason: broker.ReasonSettingsDemand},
		{name: "settings demand approval", change: func(k *talk) { k.settings.Consent.Mode = "approval" }, reason: broker.ReasonSettingsDemand},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.doc == nil {
				test.doc = doc{}
			}
			k := newTalk(t, test.doc)
			if test.change != nil {
				test.change(k)
			}
			n := k.negotiate()
			if got := reasonOf(n); got != test.reason {
				t.Fatalf("Negotiate() = %v, want reason %q", n.Err, test.reason)
			}
			if strings.HasPrefix(test.name, "CU-09") && cuts(n) != test.cut {
				t.Errorf("cut = %q, want %q", cuts(n), test.cut)
			}
			for member, c := range map[string]struct{ got, want string }{
				"scopes": {strings.Join(n.Effective.Scopes, " "), test.scopes}, "resources": {strings.Join(n.Effective.Resources, " "), test.res},
				"auth_methods": {strings.Join(n.Effective.AuthMethods, " "), test.auth}, "cut": {cuts(n), test.cut},
			} {
				if (c.want != "" || test.name == "B18 nothing asked, nothing by default" && member == "scopes") && c.got != c.want {
					t.Errorf("%s = %q, want %q", member, c.got, c.want)
				}
			}
		})
	}
}

func ask(resources ...string) func(*talk) {
	return func(k *talk) { k.in.Request.Resources = resources }
}

func want(scopes ...string) func(*talk) {
	return func(k *talk) { k.in.Request.Scopes = scopes }
}

// The documents of real clients, in the form they had when they were read.
func TestRealDocuments(t *testing.T) {
	for _, file := range []string{"chatgpt", "claude-ai", "claude-code", "goose", "mcp-spec-example", "vscode", "zed.planned"} {
		body, err := os.ReadFile(filepath.Join("..", "testdata", "realworld", file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			ID   string   `json:"client_id"`
			URIs []string `json:"redirect_uris"`
		}
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		k := &talk{settings: terms(), offer: offer()}
		k.settings.Redirect.Loopback = true
		k.doc, k.in = parsed(t, m.ID, body, m.URIs[0])
		var reason broker.Reason
		if file == "chatgpt" {
			reason = broker.ReasonDocumentAuthMethod
		}
		n := k.negotiate()
		if reasonOf(n) != reason {
			t.Errorf("%s: Negotiate() = %v, want reason %q", file, n.Err, reason)
		}
		k.settings.TokenEndpointAuthMethods = []string{"none"}
		if n := k.negotiate(); n.Err != nil || !slices.Equal(n.Effective.AuthMethods, []string{"none"}) || !slices.Equal(n.Effective.GrantTypes, []string{"authorization_code"}) {
			t.Errorf("%s with none: Negotiate() = %v, %+v", file, n.Err, n.Effective)
		}
	}
}

// A long value is cut before it is kept, on a rune.
func TestCutValuesAreBounded(t *testing.T) {
	k := newTalk(t, map[string]any{})
	k.in.Request.Resources = []string{strings.Repeat("é", 5000)}
	n := k.negotiate()
	for _, c := range n.Cut {
		if len(c.Value) > 202 || !strings.HasPrefix(strings.Repeat("é", 5000), strings.TrimRight(c.Value, "�")) && c.Member == "resource" {
			t.Errorf("cut %s keeps %d bytes", c.Member, len(c.Value))
		}
	}
	if b, err := json.Marshal(n.Cut); err != nil || len(b) > 1000 {
		t.Errorf("cut takes %d bytes, %v", len(b), err)
	}
}

// TestNegotiateNeverWidens: nothing effective is beyond ceiling, server offer
// or document; order follows what was asked; the same call gives the same
// answer and leaves its arguments alone.
func TestNegotiateNeverWidens(t *testing.T) {
	words := []string{"a", "b", "c", "offline_access", "authorization_code", "refresh_token", "code", "token", "none", "private_key_jwt", "x"}
	rapid.Check(t, func(t *rapid.T) {
		list := func(label string) []string { return rapid.SliceOfN(rapid.SampledFrom(words), 0, 5).Draw(t, label) }
		ids := []string{"https://r.example", "https://r.example/a", "HTTPS://R.example/", "https://s.example"}
		k := talk{settings: broker.StrictSettings()}
		s := &k.settings
		s.Scopes = broker.ScopeSettings{Ceiling: list("ceiling"), Default: list("default"),
			Unknown: rapid.SampledFrom([]string{"drop", "reject", ""}).Draw(t, "unknown"), Document: rapid.SampledFrom([]string{"advisory", "intersect"}).Draw(t, "mode")}
		s.GrantTypes, s.ResponseTypes, s.TokenEndpointAuthMethods = list("grants"), list("responses"), list("auth")
		s.Redirect = broker.RedirectSettings{Relation: rapid.SampledFrom([]string{"same_origin", "same_site", "cross_site", ""}).Draw(t, "relation"),
			Loopback: rapid.Bool().Draw(t, "loopback"), PrivateScheme: rapid.Bool().Draw(t, "private")}
		if rapid.Bool().Draw(t, "audiences") {
			s.Audiences = rapid.SliceOfN(rapid.SampledFrom(ids), 0, 3).Draw(t, "audience")
		}
		for _, id := range ids {
			if rapid.Bool().Draw(t, "offered") {
				k.offer.Resources = append(k.offer.Resources, broker.Resource{ID: id, Scopes: list("of resource")})
			}
		}
		k.offer.GrantTypes, k.offer.ResponseTypes, k.offer.AuthMethods = list("has grants"), list("has responses"), list("has auth")
		k.doc.GrantTypes, k.doc.ResponseTypes = list("doc grants"), list("doc responses")
		k.doc.AuthMethod, k.doc.AuthMethodsSupported = rapid.SampledFrom(append(words, "")).Draw(t, "method"), list("doc auth")
		if rapid.Bool().Draw(t, "doc has scope") {
			v := strings.Join(list("doc scope"), " ")
			k.doc.Scope = &v
		}
		k.in.Request.Scopes = list("asked")
		k.in.Request.Resources = rapid.SliceOfN(rapid.SampledFrom(append(ids, "https://u.example", "")), 0, 3).Draw(t, "resources")
		for _, kind := range []string{"https", "loopback", "private_scheme"} {
			for _, relation := range []string{"same_origin", "same_site", "cross_site"} {
				if rapid.Bool().Draw(t, "redirect") {
					k.in.Redirects = append(k.in.Redirects, cimd.Redirect{URI: kind + ":" + relation, Kind: kind, Relation: relation})
				}
			}
		}
		before, _ := json.Marshal([]any{k.settings, k.in, k.doc, k.offer})
		n := k.negotiate()
		if after, _ := json.Marshal([]any{k.settings, k.in, k.doc, k.offer}); string(after) != string(before) {
			t.Fatalf("Negotiate changed its arguments: %s, before %s", after, before)
		}
		if again := k.negotiate(); !reflect.DeepEqual(n, again) {
			t.Fatalf("Negotiate() = %+v, then %+v", n, again)
		}
		within(t, "grant_types", n.Effective.GrantTypes, k.doc.GrantTypes, s.GrantTypes, k.offer.GrantTypes)
		within(t, "response_types", n.Effective.ResponseTypes, k.doc.ResponseTypes, s.ResponseTypes, k.offer.ResponseTypes)
		within(t, "auth_methods", n.Effective.AuthMethods, k.doc.AuthMethods(), k.offer.AuthMethods)
		if len(s.TokenEndpointAuthMethods) > 0 {
			within(t, "auth_methods", n.Effective.AuthMethods, k.doc.AuthMethods(), s.TokenEndpointAuthMethods)
		}
		asked := k.in.Request.Scopes
		if len(asked) == 0 {
			asked = s.Scopes.Default
		}
		within(t, "scopes", n.Effective.Scopes, asked, s.Scopes.Ceiling)
		if k.doc.Scope != nil && s.Scopes.Document == "intersect" {
			within(t, "scopes", n.Effective.Scopes, asked, strings.Fields(*k.doc.Scope))
		}
		var offered []string
		for _, r := range k.offer.Resources {
			offered = append(offered, r.ID)
		}
		for _, r := range n.Effective.Resources {
			if !slices.Contains(offered, r) || s.Audiences != nil && !slices.Contains(s.Audiences, r) {
				t.Errorf("resources = %v, beyond %v or %v", n.Effective.Resources, offered, s.Audiences)
			}
		}
		for _, r := range n.Redirects {
			if !slices.Contains(k.in.Redirects, r) || r.Kind == "loopback" && !s.Redirect.Loopback || r.Kind == "private_scheme" && !s.Redirect.PrivateScheme ||
				r.Kind == "https" && r.Relation == "cross_site" && s.Redirect.Relation != "cross_site" {
				t.Errorf("redirect %v is kept under %+v", r, s.Redirect)
			}
		}
		if len(asked) > 0 && n.Err == nil && len(k.in.Request.Scopes) > 0 && len(n.Effective.Scopes) == 0 {
			t.Error("scopes were asked, none is left, and there is no error")
		}
		if twice := repeated(n.Cut); twice != "" {
			t.Errorf("cut names %s twice", twice)
		}
	})
}

// within fails unless every value of got is in all lists, once, and in the
// order of the first.
func within(t *rapid.T, member string, got []string, lists ...[]string) {
	t.Helper()
	if got == nil {
		t.Errorf("%s is nil, want a list", member)
	}
	at := -1
	for _, v := range got {
		for _, l := range lists {
			if !slices.Contains(l, v) {
				t.Errorf("%s = %v, beyond %v", member, got, l)
			}
		}
		i := slices.Index(lists[0], v)
		if i <= at && member != "auth_methods" {
			t.Errorf("%s = %v, not in the order of %v", member, got, lists[0])
		}
		at = i
	}
}

// repeated returns a scope or resource that was cut twice.
func repeated(cut []decisionlog.Cut) string {
	seen := map[string]bool{}
	for _, c := range cut {
		if k := c.Member + "=" + c.Value; c.Member == "scope" || c.Member == "resource" {
			if seen[k] {
				return k
			}
			seen[k] = true
		}
	}
	return ""
}
