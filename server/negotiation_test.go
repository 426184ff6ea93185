package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestPF39DocumentNeverWidens: a document that asks for everything gets what
// policy, server and request have in common, and the record lists the rest
// (Q1, Q8). CU-03: a policy gives all scopes of the resource, or selected ones.
func TestPF39DocumentNeverWidens(t *testing.T) {
	t.Parallel()
	const exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	greedy := map[string]any{
		"grant_types": []string{"authorization_code", "refresh_token", "client_credentials", exchange, "implicit"}, "response_types": []string{"code", "token", "id_token"},
		"scope": "mcp:read mcp:write mcp:admin", "token_endpoint_auth_methods_supported": []string{"none", "tls_client_auth"},
	}
	always := []string{
		"grant_types client_credentials server", "grant_types " + exchange + " server", "grant_types implicit server", "grant_types refresh_token settings",
		"response_types id_token server", "response_types token server", "scope mcp:admin settings", "token_endpoint_auth_methods_supported tls_client_auth server",
	}
	for name, tt := range map[string]struct {
		ceiling, granted string
		cut              []string
	}{
		"selected": {`["mcp:read"]`, "mcp:read", append(slices.Clone(always), "scope mcp:write settings")},
		"all":      {`["mcp:read", "mcp:write"]`, "mcp:read mcp:write", always},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, servertest.Options{Policy: map[string]string{"clients.rego": strings.Replace(base, `["mcp:read", "mcp:write"]`, tt.ceiling, 1)}})
			s.Docs.Publish(client, greedy)
			b := s.Browser()
			first := b.Authorize(s.Request(client, url.Values{"scope": {"mcp:read mcp:write mcp:admin"}}))
			p := b.Submit(b.SignIn(first, servertest.Person), "decision", url.Values{"decision": {"allow"}})
			status, answer, _ := s.Token(s.Exchange(client, p, nil))
			if status != http.StatusOK || answer["scope"] != tt.granted || answer["refresh_token"] != nil {
				t.Errorf("token: %d %v, want scope %q and no refresh token", status, answer, tt.granted)
			}
			var cut []string
			for _, r := range s.Records(store.RecordQuery{RequestID: first.Header.Get("X-Request-Id")}) {
				for _, c := range r.Cut {
					cut = append(cut, c.Member+" "+c.Value+" "+c.By)
				}
			}
			slices.Sort(cut)
			slices.Sort(tt.cut)
			if !slices.Equal(cut, tt.cut) {
				t.Errorf("cut = %q\nwant %q", cut, tt.cut)
			}
		})
	}
}

// TestProfilesPerPolicy: one document is refused under a policy of profile mcp,
// which needs a name (M11), and admitted under one of profile cimd.
func TestProfilesPerPolicy(t *testing.T) {
	t.Parallel()
	one := func(name, profile string) string {
		return `package admission.policies.` + name + `

client_ids := {"https://client.example.com/` + name + `/*"}

settings := {
	"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]},
	"redirect": {"loopback": true},
	"document": {"profile": "` + profile + `"},
}
`
	}
	s := servertest.New(t, servertest.Options{Policy: map[string]string{"strict.rego": one("strict", "mcp"), "plain.rego": one("plain", "cimd")}})
	for _, name := range []string{"strict", "plain"} {
		s.Docs.Publish(docHost+"/"+name+"/c", map[string]any{"client_name": nil})
	}
	wantPage(t, s, s.Browser().Authorize(s.Request(docHost+"/strict/c", nil)), http.StatusBadRequest, broker.ReasonDocumentName)
	if p := s.Browser().Authorize(s.Request(docHost+"/plain/c", nil)); p.Status != http.StatusOK {
		t.Errorf("profile cimd: status %d\n%s", p.Status, brief(p))
	}
}

// TestQ5ApplicationType: what a document says of its type decides nothing, as
// its redirect URIs say more; only a value that is none refuses it.
func TestQ5ApplicationType(t *testing.T) {
	t.Parallel()
	const web = "https://client.example.com/callback"
	s := start(t, servertest.Options{})
	for i, tt := range []struct {
		kind   any
		uri    string
		status int
	}{
		{"web", redirectURI, 200}, {"native", redirectURI, 200}, {nil, redirectURI, 200},
		{"web", web, 200}, {"native", web, 200}, {nil, web, 200}, {"service", web, 400},
	} {
		id := docHost + "/type" + string(rune('a'+i))
		s.Docs.Publish(id, map[string]any{"application_type": tt.kind, "redirect_uris": []string{tt.uri}})
		if p := s.Browser().Authorize(s.Request(id, url.Values{"redirect_uri": {tt.uri}})); p.Status != tt.status {
			t.Errorf("application_type %v with %s: status %d, want %d\n%s", tt.kind, tt.uri, p.Status, tt.status, brief(p))
		}
	}
}

// TestQ17DocumentSize: 5 KiB by default, 64 KiB where settings say so, and not
// a byte more (PF-16).
func TestQ17DocumentSize(t *testing.T) {
	t.Parallel()
	for settings, limit := range map[string]int{`{}`: 5120, `{"max_bytes": 65536}`: 65536} {
		s := start(t, servertest.Options{Policy: map[string]string{"clients.rego": strings.Replace(base, `"redirect":`, `"document": `+settings+`, "redirect":`, 1)}})
		for _, size := range []int{limit, limit + 1} {
			id := docHost + "/size/" + map[bool]string{true: "fits", false: "exceeds"}[size == limit]
			s.Docs.Set(id, servertest.Answer{Body: padded(t, id, size)})
			p := s.Browser().Authorize(s.Request(id, nil))
			if size == limit && p.Status != http.StatusOK {
				t.Errorf("%s, %d bytes: status %d\n%s", settings, size, p.Status, brief(p))
			}
			if size > limit {
				wantPage(t, s, p, http.StatusBadRequest, broker.ReasonFetchTooLarge)
			}
		}
	}
}

// padded is a document of so many bytes.
func padded(t *testing.T, id string, size int) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"client_id": id, "client_name": "Example", "redirect_uris": []string{redirectURI}})
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + strings.Repeat(" ", size-len(b))
}

// TestSN12PinnedLoopback: a pinned client goes to localhost only where a policy
// lets it (PF-19).
func TestSN12PinnedLoopback(t *testing.T) {
	t.Parallel()
	for loopback, status := range map[string]int{"true": http.StatusOK, "false": http.StatusForbidden} {
		s := start(t, servertest.Options{Policy: map[string]string{"clients.rego": strings.Replace(base, `"loopback": true`, `"loopback": `+loopback, 1)}})
		document, err := json.Marshal(map[string]any{
			"client_id": client, "client_name": "Example", "client_uri": docHost, "redirect_uris": []string{redirectURI}, "response_types": []string{"code"},
		})
		if err != nil {
			t.Fatal(err)
		}
		u := s.Store.Begin()
		check(t, s.Broker.PinClient(t.Context(), u, "uid 1000", client, document))
		check(t, s.Store.Commit(t.Context(), u))
		if p := s.Browser().Authorize(s.Request(client, nil)); p.Status != status || s.Docs.Total() != 0 {
			t.Errorf("loopback %s: status %d with %d fetches, want %d without\n%s", loopback, p.Status, s.Docs.Total(), status, brief(p))
		}
	}
}
