package broker_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// Three public keys: P-256 of RFC 7517 appendix A.1, the Ed25519 key of RFC
// 8037 appendix A.2, and the P-256 key of RFC 7515 appendix A.3.
var (
	keyOne   = map[string]any{"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "sig"}
	keyTwo   = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	keyThree = map[string]any{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
)

// keySet is a JWK Set of keys, each by its kid.
func keySet(keys map[string]map[string]any) map[string]any {
	list := []any{}
	for _, kid := range slices.Sorted(mapsKeys(keys)) {
		key := map[string]any{"kid": kid}
		for k, v := range keys[kid] {
			key[k] = v
		}
		list = append(list, key)
	}
	return map[string]any{"keys": list}
}

// mapsKeys yields the keys of a map.
func mapsKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// keyed changes the harmless document into one of a client with keys.
func keyed(change map[string]any) map[string]any {
	m := map[string]any{
		"token_endpoint_auth_method": "private_key_jwt", "jwks": keySet(map[string]map[string]any{"a": keyOne}),
		"redirect_uris": []string{redirect}, "scope": "mcp:read",
	}
	for k, v := range change {
		m[k] = v
	}
	return m
}

// kept is a document as it would be stored.
func kept(t *testing.T, change map[string]any) cimd.Document {
	t.Helper()
	id, err := cimd.Parse(clientID)
	if err != nil {
		t.Fatal(err)
	}
	p, err := cimd.ParseDocument(document(change), id, cimd.ProfileMCP)
	if err != nil {
		t.Fatalf("ParseDocument(%v) = %v", change, err)
	}
	return p.Document
}

// TestA10Changes is A10, Q2: what each member means to those who rely on it.
func TestA10Changes(t *testing.T) {
	both := []string{"private_key_jwt", "none"}
	for _, tt := range []struct {
		name          string
		before, after map[string]any
		want          []string
	}{
		{"nothing", nil, nil, nil},
		{"another spelling of the methods", keyed(nil), keyed(map[string]any{"token_endpoint_auth_method": nil, "token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}), nil},
		{"the order of redirects", nil, map[string]any{"redirect_uris": []string{"http://127.0.0.1/cb", redirect}}, nil},
		{"name", keyed(nil), keyed(map[string]any{"client_name": "B"}), []string{"cosmetic"}},
		{"redirect added", keyed(nil), keyed(map[string]any{"redirect_uris": []string{redirect, redirect + "2"}}), []string{"redirect_added"}},
		{"redirect removed", keyed(map[string]any{"redirect_uris": []string{redirect, redirect + "2"}}), keyed(nil), []string{"redirect_removed"}},
		{"redirect replaced", keyed(nil), keyed(map[string]any{"redirect_uris": []string{redirect + "2"}}), []string{"redirect_added", "redirect_removed"}},
		{"none offered too", keyed(nil), keyed(map[string]any{"token_endpoint_auth_methods_supported": both}), []string{"auth_weakened"}},
		{"the key method is gone", keyed(nil), keyed(map[string]any{"token_endpoint_auth_method": "none"}), []string{"auth_weakened"}},
		{"the key method of two is gone", keyed(map[string]any{"token_endpoint_auth_methods_supported": both}), keyed(map[string]any{"token_endpoint_auth_method": "none"}), []string{"auth_weakened"}},
		{"none of two is gone", keyed(map[string]any{"token_endpoint_auth_methods_supported": both}), keyed(nil), []string{"auth_strengthened"}},
		{"a key for the first time", nil, keyed(map[string]any{"redirect_uris": []string{redirect, "http://127.0.0.1/cb"}, "scope": nil}), []string{"auth_strengthened", "keys_rotated"}},
		{"PAR demanded", keyed(nil), keyed(map[string]any{"require_pushed_authorization_requests": true}), []string{"auth_strengthened"}},
		{"DPoP demanded no longer", keyed(map[string]any{"dpop_bound_access_tokens": true}), keyed(nil), []string{"auth_weakened"}},
		{"jwks_uri moved", keyed(map[string]any{"jwks": nil, "jwks_uri": "https://app.example.com/a"}), keyed(map[string]any{"jwks": nil, "jwks_uri": "https://app.example.com/b"}), []string{"keys_moved"}},
		{"keys leave the document", keyed(nil), keyed(map[string]any{"jwks": nil, "jwks_uri": "https://app.example.com/a"}), []string{"keys_moved"}},
		{"keys come into the document", keyed(map[string]any{"jwks": nil, "jwks_uri": "https://app.example.com/a"}), keyed(nil), []string{"keys_moved"}},
		{"G-09 keys replaced", keyed(nil), keyed(map[string]any{"jwks": keySet(map[string]map[string]any{"b": keyTwo})}), []string{"keys_moved"}},
		{"G-09 same kid, another key", keyed(nil), keyed(map[string]any{"jwks": keySet(map[string]map[string]any{"a": keyThree, "b": keyOne})}), []string{"keys_moved"}},
		{"G-09 rotation with overlap", keyed(nil), keyed(map[string]any{"jwks": keySet(map[string]map[string]any{"a": keyOne, "b": keyTwo})}), []string{"keys_rotated"}},
		{"algorithm named", keyed(nil), keyed(map[string]any{"token_endpoint_auth_signing_alg": "ES256"}), []string{"keys_rotated"}},
		{"grant type added", keyed(nil), keyed(map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}}), []string{"grants_widened"}},
		{"grant type removed", keyed(map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}}), keyed(nil), []string{"grants_narrowed"}},
		{"scope added", keyed(nil), keyed(map[string]any{"scope": "mcp:read mcp:write"}), []string{"scopes_widened"}},
		{"scope removed", keyed(map[string]any{"scope": "mcp:read mcp:write"}), keyed(nil), []string{"scopes_narrowed"}},
		{"scope left to policy", keyed(nil), keyed(map[string]any{"scope": nil}), []string{"scopes_widened"}},
		{"scope named", keyed(map[string]any{"scope": nil}), keyed(nil), []string{"scopes_narrowed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, after := kept(t, tt.before), kept(t, tt.after)
			got := broker.Changes(before, after)
			if !slices.Equal(got, tt.want) {
				t.Errorf("Changes() = %q, want %q", got, tt.want)
			}
			// The classes that touch no one and the digest that consents are
			// remembered by say the same.
			demand := before.DPoPBoundAccessTokens != after.DPoPBoundAccessTokens || before.RequirePAR != after.RequirePAR
			rests := len(got) > 0 && !slices.Equal(got, []string{"cosmetic"})
			if moved := broker.SecurityDigest(before) != broker.SecurityDigest(after); moved != rests && !demand {
				t.Errorf("security digest moved: %v, classes %q", moved, got)
			}
		})
	}
}

// No kept member can change without a class: one that is added later has to be
// given one.
func TestEveryMemberHasAClass(t *testing.T) {
	base := kept(t, keyed(nil))
	fields := reflect.TypeFor[cimd.Document]()
	for i := range fields.NumField() {
		changed := base
		switch f := reflect.ValueOf(&changed).Elem().Field(i); fields.Field(i).Name {
		case "ClientID":
			continue // another client
		case "JWKS":
			changed.JWKS = json.RawMessage(`{"keys":[]}`)
		default:
			switch f.Kind() {
			case reflect.String:
				f.SetString("https://app.example.com/other")
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Slice:
				f.Set(reflect.ValueOf([]string{"other"}))
			case reflect.Pointer:
				f.Set(reflect.ValueOf(new(string)))
			}
		}
		if got := broker.Changes(base, changed); len(got) == 0 {
			t.Errorf("Changes() = none where %s changed", fields.Field(i).Name)
		}
	}
}

// G-08, SN-22: what a change does at the next start of a flow, by
// document.on_change: force (the new document is in force), wait (the old one
// stays, and flows go on), stop (it waits, and no flow starts).
func TestG08_SN22_OnChange(t *testing.T) {
	two := []string{redirect, redirect + "2"}
	for _, tt := range []struct {
		name          string
		before, after map[string]any
		want          [4]string // accept, reconsent, reapprove, deny
	}{
		{"cosmetic: name", nil, map[string]any{"client_name": "B"}, [4]string{"force", "force", "force", "force"}},
		{"cosmetic: logo", nil, map[string]any{"logo_uri": "https://app.example.com/l.png"}, [4]string{"force", "force", "force", "force"}},
		{"redirect_added", map[string]any{"redirect_uris": two[:1]}, map[string]any{"redirect_uris": two}, [4]string{"force", "force", "wait", "stop"}},
		{"redirect_removed", map[string]any{"redirect_uris": two}, map[string]any{"redirect_uris": two[:1]}, [4]string{"force", "force", "force", "stop"}},
		{"auth_weakened", keyed(nil), keyed(map[string]any{"token_endpoint_auth_method": "none"}), [4]string{"force", "force", "stop", "stop"}},
		{"auth_strengthened", keyed(map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "none"}}), keyed(nil), [4]string{"force", "force", "wait", "stop"}},
		{"keys_moved", keyed(nil), keyed(map[string]any{"jwks": keySet(map[string]map[string]any{"b": keyTwo})}), [4]string{"force", "force", "stop", "stop"}},
		{"keys_rotated", keyed(nil), keyed(map[string]any{"jwks": keySet(map[string]map[string]any{"a": keyOne, "b": keyTwo})}), [4]string{"force", "force", "force", "stop"}},
		{"grants_widened", nil, map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}}, [4]string{"force", "force", "wait", "stop"}},
		{"grants_narrowed", map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}}, nil, [4]string{"force", "force", "force", "stop"}},
		{"scopes_widened", map[string]any{"scope": "mcp:read"}, map[string]any{"scope": "mcp:read mcp:write"}, [4]string{"force", "force", "wait", "stop"}},
		{"scopes_narrowed", map[string]any{"scope": "mcp:read mcp:write"}, map[string]any{"scope": "mcp:read"}, [4]string{"force", "force", "force", "stop"}},
	} {
		for i, onChange := range []string{"accept", "reconsent", "reapprove", "deny"} {
			t.Run(fmt.Sprintf("%s/%s", tt.name, onChange), func(t *testing.T) {
				w := keyWorld(t)
				w.policy.settings.Document.OnChange = onChange
				w.host.body = document(tt.before)
				first := w.mustAdmit()
				w.at(hour)
				w.host.body = document(tt.after)
				o := w.admit()
				row, _ := w.row()
				got := "force"
				switch {
				case o.err != nil:
					w.refused(o, broker.ReasonDocumentChanged)
					got = "stop"
				case row.DocumentSHA256 == first.Client.DocumentSHA256:
					got = "wait"
				}
				if got != tt.want[i] {
					t.Errorf("%s, want %s (%v)", got, tt.want[i], o.err)
				}
				if waiting := row.Pending != nil; waiting != (got != "force") {
					t.Errorf("pending %+v where the answer is %s", row.Pending, got)
				}
				w.oneChange(o, row, got)
			})
		}
	}
}

// keyWorld is a world that can authenticate clients by their keys and give
// refresh tokens.
func keyWorld(t testing.TB) *world {
	w := newWorld(t, func(c *broker.Config) {
		c.Offer.AuthMethods, c.Offer.SigningAlgs = []string{"none", "private_key_jwt"}, []string{"ES256", "EdDSA"}
		c.Offer.GrantTypes = []string{"authorization_code", "refresh_token"}
	})
	w.policy.settings.GrantTypes = []string{"authorization_code", "refresh_token"}
	w.policy.settings.TokenEndpointAuthMethods = []string{"private_key_jwt", "none"}
	return w
}

// oneChange checks record and version of a change, in one commit with the row.
func (w *world) oneChange(o outcome, row broker.Client, got string) {
	w.t.Helper()
	outcomes := map[string]string{"force": "done", "wait": "held", "stop": "held"}
	if o.commits != 1 || len(o.others) != 1 || o.others[0].Event != "document.changed" || o.others[0].Outcome != outcomes[got] {
		w.t.Fatalf("%d commits, records %+v, want one and document.changed %s", o.commits, o.others, outcomes[got])
	}
	sha := row.DocumentSHA256
	if row.Pending != nil {
		sha = row.Pending.SHA256
	}
	v := w.versions[len(w.versions)-1]
	if len(w.versions) != 2 || v.SHA256 != sha || v.From != "network" || len(v.Changes) == 0 || string(v.Published) != string(w.host.body) {
		w.t.Errorf("versions = %+v, want a second one, of document %s", w.versions, sha)
	}
	if o.others[0].DocumentSHA256 != sha {
		w.t.Errorf("the record is about document %s, want %s", o.others[0].DocumentSHA256, sha)
	}
}
