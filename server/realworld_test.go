package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// Client identifiers of real clients.
const (
	claudeCode = "https://claude.ai/oauth/claude-code-client-metadata"
	claudeAI   = "https://claude.ai/oauth/mcp-oauth-client-metadata"
	vscode     = "https://vscode.dev/oauth/client-metadata.json"
	goose      = "https://goose-docs.ai/oauth/client-metadata.json"
	chatgpt    = "https://chatgpt.com/oauth/client.json"
	zed        = "https://zed.dev/oauth/client-metadata.json"
	mcpExample = "https://app.example.com/oauth/client-metadata.json"
	mcpc       = "https://apify.github.io/mcpc/client-metadata.json"
)

// realDocuments are the files of testdata/realworld by where each is served.
var realDocuments = map[string]string{
	claudeCode: "claude-code.json", claudeAI: "claude-ai.json", vscode: "vscode.json", goose: "goose.json", chatgpt: "chatgpt.json",
	zed: "zed.planned.json", mcpExample: "mcp-spec-example.json", mcpc: "mcpc.stored-without-client-id.json",
}

// realHosts are the hosts of the documents, and those that a document points
// to: nothing may ever be asked of the latter.
var realHosts = []string{
	"claude.ai", "vscode.dev", "goose-docs.ai", "chatgpt.com", "zed.dev", "app.example.com", "apify.github.io",
	"persistent.oaistatic.com", "code.visualstudio.com",
}

// realPolicy names a client that no starter knows.
const realPolicy = `# METADATA
# title: Others
# authors: [Team <team@corp.example>]
package admission.policies.others

client_ids := {"` + mcpExample + `", "` + mcpc + `"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"redirect": {"loopback": true},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}
`

// realDocument reads a document as published.
func realDocument(t *testing.T, id string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "realworld", realDocuments[id]))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// realWorld is a server under the starter known_clients, with every document
// at its true place.
func realWorld(t *testing.T, o servertest.Options) *servertest.Server {
	t.Helper()
	o.Hosts = realHosts
	if o.Policy == nil {
		o.Policy = servertest.Starter(t, "known_clients", map[string]string{"others.rego": realPolicy})
	}
	s := servertest.New(t, o)
	for id := range realDocuments {
		s.Docs.Set(id, servertest.Answer{Body: realDocument(t, id)})
	}
	return s
}

// freePort is a loopback port that nobody else gets while the test runs, as a
// client takes one to receive its answer.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// installation is one installed client with what it does of its own accord.
type installation struct {
	id       string
	redirect string   // PORT stands for a random one
	keyed    bool     // authenticates with its key, from chatgptKeys
	scope    string   // what it asks for; empty: it sends no scope
	state    string   // empty: it sends none
	prompt   string   // empty: none
	silent   bool     // names no resource
	refresh  bool     // lists refresh_token and is to get one
	granted  string   // the scope it ends up with
	cut      []string // "member value by whom" of its admission record
}

// request is its authorization request; it fills in the port.
func (i *installation) request(t *testing.T, s *servertest.Server) url.Values {
	t.Helper()
	i.redirect = strings.Replace(i.redirect, "PORT", fmt.Sprint(freePort(t)), 1)
	changes := url.Values{"redirect_uri": {i.redirect}, "scope": nil, "state": nil}
	for k, v := range map[string]string{"scope": i.scope, "state": i.state, "prompt": i.prompt} {
		if v != "" {
			changes.Set(k, v)
		}
	}
	if i.silent {
		changes["resource"] = nil
	}
	return s.Request(i.id, changes)
}

// token is its token request.
func (i *installation) token(s *servertest.Server, p servertest.Page) (int, map[string]any) {
	changes := i.proof(s)
	changes.Set("redirect_uri", i.redirect)
	if i.silent {
		changes["resource"] = nil
	}
	status, answer, _ := s.Token(s.Exchange(i.id, p, changes))
	return status, answer
}

// proof is what it authenticates with; nothing for a public client.
func (i *installation) proof(s *servertest.Server) url.Values {
	if !i.keyed {
		return url.Values{}
	}
	return s.Asserted(chatgptKey(s), i.id)
}

// chatgptKey makes the key set of ChatGPT's document serve a key, the same one
// for the life of a server.
func chatgptKey(s *servertest.Server) *servertest.ClientKey {
	return s.KeyAt("https://chatgpt.com/oauth/jwks.json", "RS256")
}

// fetches counts what was asked of hosts, but keys.
func fetches(s *servertest.Server) int {
	return s.Docs.Total() - s.Docs.Hits("https://chatgpt.com/oauth/jwks.json")
}

// next is its refresh request; some clients say once more what they want.
func (i *installation) next(s *servertest.Server, token any, changes ...string) (int, map[string]any) {
	form := i.proof(s)
	form.Set("client_id", i.id)
	for at := 0; at < len(changes); at += 2 {
		form.Set(changes[at], changes[at+1])
	}
	return refresh(s, token, form)
}

// back is its revocation request, with the hint that the libraries send.
func (i *installation) back(t *testing.T, s *servertest.Server, token any, hint string) int {
	t.Helper()
	form := i.proof(s)
	form.Set("client_id", i.id)
	form.Set("token", fmt.Sprint(token))
	form.Set("token_type_hint", hint)
	return send(t, http.MethodPost, s.Issuer+"/revoke", form.Encode(), formHeader()).Status
}

// realInstallations are G-23, B18 to B21, Q4: every valid document of the
// folder, played as its client plays it.
var realInstallations = map[string]installation{
	"Claude Code on localhost": {
		id: claudeCode, redirect: "http://localhost:PORT/callback", scope: "mcp:read mcp:write offline_access", prompt: "consent",
		state: "kq2Yw5gJm0XbQyQ1O4V1d8Jc3z6vJbq2Yw5gJm0XbQy", refresh: true, granted: "mcp:read mcp:write offline_access",
	},
	"Claude Code on 127.0.0.1": {
		id: claudeCode, redirect: "http://127.0.0.1:PORT/callback", scope: "mcp:read", state: "s", refresh: true, granted: "mcp:read",
	},
	"claude.ai, B19 jwt-bearer": {
		id: claudeAI, redirect: "https://claude.ai/api/mcp/auth_callback", scope: "mcp:read offline_access", state: "eyJhIjoiYiJ9.-_~", refresh: true,
		granted: "mcp:read offline_access", cut: []string{"grant_types urn:ietf:params:oauth:grant-type:jwt-bearer server"},
	},
	"VS Code on its port, B19 device_code": {
		id: vscode, redirect: "http://127.0.0.1:33418/", scope: "mcp:read mcp:write", state: "vscode", refresh: true, granted: "mcp:read mcp:write",
		cut: []string{"grant_types urn:ietf:params:oauth:grant-type:device_code server", "logo_uri https://code.visualstudio.com/assets/branding/code-stable.png settings"},
	},
	"VS Code on another port, B21": {
		id: vscode, redirect: "http://127.0.0.1:PORT/", scope: "mcp:read", state: "vscode", refresh: true, granted: "mcp:read",
		cut: []string{"grant_types urn:ietf:params:oauth:grant-type:device_code server", "logo_uri https://code.visualstudio.com/assets/branding/code-stable.png settings"},
	},
	"VS Code in the browser": {
		id: vscode, redirect: "https://vscode.dev/redirect", state: "https://vscode.dev/callback?nonce=1&windowId=2", refresh: true, granted: "mcp:read",
		cut: []string{"grant_types urn:ietf:params:oauth:grant-type:device_code server", "logo_uri https://code.visualstudio.com/assets/branding/code-stable.png settings"},
	},
	"Goose with its document's scopes beside": {
		id: goose, redirect: "http://localhost:PORT/oauth_callback", scope: "openid profile email mcp:read", state: "goose", granted: "mcp:read",
		cut: []string{"scope openid settings", "scope profile settings", "scope email settings"},
	},
	"Goose without a scope": {
		id: goose, redirect: "http://localhost:PORT/oauth_callback", state: "goose", granted: "mcp:read",
	},
	"ChatGPT as none, B18 no scope, B20 two methods": {
		id: chatgpt, redirect: "https://chatgpt.com/connector_platform_oauth_redirect", state: "oauth_s_69", refresh: true, granted: "mcp:read",
		cut: []string{"logo_uri https://persistent.oaistatic.com/sonic/misc/openai-logo.png settings"},
	},
	"ChatGPT with its key, B20 two methods, CU-06": {
		id: chatgpt, redirect: "https://chatgpt.com/connector_platform_oauth_redirect", state: "oauth_s_69", refresh: true, granted: "mcp:read",
		cut:   []string{"logo_uri https://persistent.oaistatic.com/sonic/misc/openai-logo.png settings"},
		keyed: true,
	},
	"Zed": {
		id: zed, redirect: "http://127.0.0.1:PORT/callback", scope: "mcp:read", state: "zed", granted: "mcp:read",
	},
	"Zed asks for its literal scope beside": {
		id: zed, redirect: "http://127.0.0.1:PORT/callback", scope: "mcp:* mcp:write", state: "zed", granted: "mcp:write", cut: []string{"scope mcp:* settings"},
	},
	"example of the MCP specification": {
		id: mcpExample, redirect: "http://127.0.0.1:3000/callback", scope: "mcp:read", granted: "mcp:read",
	},
	"example of the MCP specification, port 3000 taken": {
		id: mcpExample, redirect: "http://localhost:PORT/callback", silent: true, granted: "mcp:read",
	},
}

// TestRealClients is G-23, M11, Q4, Q19: authorize, sign in, consent, code,
// token, refresh where the document lists it, revocation.
func TestRealClients(t *testing.T) {
	t.Parallel()
	played := map[string]bool{}
	for name, i := range realInstallations {
		played[i.id] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := realWorld(t, servertest.Options{})
			b := s.Browser()
			first := b.Authorize(i.request(t, s))
			wantCut(t, s, first, i.cut)
			asked := b.SignIn(first, servertest.Person)
			i.wantConsent(t, asked)
			done := b.Submit(asked, "decision", allow())
			code := done.Param("code")
			if !strings.HasPrefix(done.Location, i.redirect+"?") || code == "" || done.Param("iss") != s.Issuer || done.Param("state") != i.state ||
				strings.Contains(done.Location, "state=") != (i.state != "") {
				t.Fatalf("after consent: status %d, location %q\n%s", done.Status, done.Location, brief(done))
			}
			status, tokens := i.token(s, done)
			if status != http.StatusOK || tokens["scope"] != i.granted {
				t.Fatalf("token: %d %v, want scope %q", status, tokens, i.granted)
			}
			tokens = i.live(t, s, tokens)
			if fetches(s) != 1 || s.Docs.Hits(i.id) != 1 || i.keyed == (fetches(s) == s.Docs.Total()) {
				t.Errorf("%d fetches, %d of the document; want the document once, keys where it has one and nothing else", s.Docs.Total(), s.Docs.Hits(i.id))
			}
			i.giveBack(t, s, tokens)
		})
	}
	for id := range realDocuments {
		if !played[id] && id != mcpc {
			t.Errorf("no installation plays %s", id)
		}
	}
}

// TestEveryRealDocumentIsServed holds the folder and this file together.
func TestEveryRealDocumentIsServed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "testdata", "realworld", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(maps.Values(realDocuments))
	want = append(want, "atproto-localhost.virtual.json") // never fetched: see TestRealDocumentsRefused
	slices.Sort(want)
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	slices.Sort(files)
	if !slices.Equal(files, want) {
		t.Errorf("testdata/realworld has %q, the tests play %q", files, want)
	}
}

// wantCut checks what the admission record says was asked and not given.
func wantCut(t *testing.T, s *servertest.Server, p servertest.Page, want []string) {
	t.Helper()
	recs := s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id")})
	if len(recs) != 1 || recs[0].Outcome != decisionlog.OutcomeAdmitted {
		t.Fatalf("%d records of the first request, want one admission: status %d, location %q\n%s", len(recs), p.Status, p.Location, brief(p))
	}
	var got []string
	for _, c := range recs[0].Cut {
		got = append(got, c.Member+" "+c.Value+" "+c.By)
	}
	if !slices.Equal(got, want) {
		t.Errorf("cut = %q, want %q", got, want)
	}
}

// wantConsent checks where the page says the person will be sent (M28, M30).
func (i *installation) wantConsent(t *testing.T, p servertest.Page) {
	t.Helper()
	u, err := url.Parse(i.redirect)
	if err != nil {
		t.Fatal(err)
	}
	c, err := url.Parse(i.id)
	if err != nil {
		t.Fatal(err)
	}
	if got := mark(p, "redirect-host"); got != u.Host {
		t.Errorf("redirect host = %q, want %q\n%s", got, u.Host, brief(p))
	}
	if got := mark(p, "client-host"); got != c.Host {
		t.Errorf("client host = %q, want %q", got, c.Host)
	}
	if got := mark(p, "loopback-warning"); (got != "") != (u.Scheme == "http") {
		t.Errorf("loopback warning = %q with redirect %s", got, i.redirect)
	}
}

// live checks the access token and refreshes it twice, or sees that there is
// nothing to refresh with. It returns the last tokens.
func (i *installation) live(t *testing.T, s *servertest.Server, tokens map[string]any) map[string]any {
	t.Helper()
	claims := servertest.Claims(t, tokens["access_token"])
	for k, want := range map[string]any{"iss": s.Issuer, "aud": servertest.Resource, "client_id": i.id, "scope": i.granted, "sub": servertest.Person} {
		if claims[k] != want {
			t.Errorf("claim %s = %v, want %v", k, claims[k], want)
		}
	}
	if !i.refresh {
		if tokens["refresh_token"] != nil {
			t.Error("a refresh token for a document that does not list the grant")
		}
		return tokens
	}
	for _, changes := range [][]string{nil, {"scope", i.granted, "resource", servertest.Resource + "/"}} {
		s.Clock.Advance(time.Hour)
		before := tokens
		var status int
		status, tokens = i.next(s, before["refresh_token"], changes...)
		if status != http.StatusOK || tokens["scope"] != i.granted || tokens["refresh_token"] == before["refresh_token"] {
			t.Fatalf("refresh: %d %v, want a new pair with scope %q", status, tokens, i.granted)
		}
		if got := servertest.Claims(t, tokens["access_token"])["aud"]; got != servertest.Resource {
			t.Errorf("aud after refresh = %v, want %s", got, servertest.Resource)
		}
	}
	return tokens
}

// giveBack revokes as the client would when it is disconnected, with its
// document's host out of reach (B39).
func (i *installation) giveBack(t *testing.T, s *servertest.Server, tokens map[string]any) {
	t.Helper()
	active := func() any {
		_, answer, _ := introspect(t, s, "Example MCP server", servertest.Secret, tokens["access_token"])
		return answer["active"]
	}
	if active() != true {
		t.Error("the access token is inactive before it is revoked")
	}
	s.Docs.Set(i.id, servertest.Answer{Status: http.StatusServiceUnavailable})
	token, hint := tokens["access_token"], "access_token"
	if i.refresh {
		token, hint = tokens["refresh_token"], "refresh_token"
	}
	if status := i.back(t, s, token, hint); status != http.StatusOK {
		t.Errorf("revoke: status %d", status)
	}
	if active() != false {
		t.Error("the access token is active after the client gave back its " + hint)
	}
	if i.refresh {
		if status, answer := i.next(s, token); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
			t.Errorf("refresh after revocation: %d %v", status, answer)
		}
	}
	if got := fetches(s); got != 1 {
		t.Errorf("%d fetches, want none after the first", got)
	}
}

// TestZedLiteralScope: where the document's scope is a ceiling, "mcp:*" is a
// name like any other and covers nothing but itself.
func TestZedLiteralScope(t *testing.T) {
	t.Parallel()
	policy := strings.NewReplacer(mcpExample, zed, `["mcp:read", "mcp:write"], "default"`, `["mcp:read", "mcp:*"], "document": "intersect", "default"`).Replace(realPolicy)
	s := realWorld(t, servertest.Options{
		Policy:    map[string]string{"zed.rego": policy},
		Resources: []broker.Resource{{ID: servertest.Resource, Name: "Example MCP server", Scopes: []string{"mcp:read", "mcp:*"}, TokenFormat: "jwt"}},
	})
	i := installation{id: zed, redirect: "http://127.0.0.1:PORT/callback", scope: "mcp:read mcp:*", state: "zed"}
	b := s.Browser()
	p := b.Authorize(i.request(t, s))
	wantCut(t, s, p, []string{"scope mcp:read document"})
	p = b.Submit(b.SignIn(p, servertest.Person), "decision", allow())
	if status, tokens := i.token(s, p); status != http.StatusOK || tokens["scope"] != "mcp:*" {
		t.Errorf("token: %d %v, want scope mcp:* alone", status, tokens)
	}
}

// TestChatGPTWhereKeysAreDemanded is B20, A7, the other outcome: a policy that
// demands the key, or says nothing, does not get the client without it.
func TestChatGPTWhereKeysAreDemanded(t *testing.T) {
	t.Parallel()
	for name, member := range map[string]string{
		"the key by name":           `"token_endpoint_auth_methods": ["private_key_jwt"],`,
		"nothing said, so the best": "",
		"require.client_auth":       `"token_endpoint_auth_methods": ["none", "private_key_jwt"], "require": {"client_auth": true},`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := strings.NewReplacer(mcpExample, chatgpt, `"redirect": {"loopback": true},`, member).Replace(realPolicy)
			s := realWorld(t, servertest.Options{Policy: map[string]string{"chatgpt.rego": policy}})
			i := realInstallations["ChatGPT with its key, B20 two methods, CU-06"]
			bare := realInstallations["ChatGPT as none, B18 no scope, B20 two methods"]
			b := s.Browser()
			p := b.Submit(b.SignIn(b.Authorize(i.request(t, s)), servertest.Person), "decision", allow())
			if status, answer := bare.token(s, p); status != http.StatusUnauthorized || answer["error"] != "invalid_client" {
				t.Errorf("code without the key: %d %v, want 401 invalid_client", status, answer)
			}
			if s.Docs.Total() != 1 {
				t.Errorf("%d fetches, want the document alone: no key is asked for yet", s.Docs.Total())
			}
			status, tokens := i.token(s, p)
			if status != http.StatusOK {
				t.Fatalf("code with the key: %d %v", status, tokens)
			}
			if status, answer := bare.next(s, tokens["refresh_token"]); status != http.StatusUnauthorized || answer["error"] != "invalid_client" {
				t.Errorf("A7 refresh without the key: %d %v, want 401 invalid_client", status, answer)
			}
			if status := bare.back(t, s, tokens["refresh_token"], "refresh_token"); status != http.StatusUnauthorized {
				t.Errorf("A7 revocation without the key: %d, want 401", status)
			}
			if status, answer := i.next(s, tokens["refresh_token"]); status != http.StatusOK {
				t.Errorf("refresh with the key: %d %v", status, answer)
			}
		})
	}
}

// TestB20ChatGPTKeepsItsMethod is B20, CU-05, A7: where policy leaves both
// methods, a grant goes on with the one it was made with and with no other.
func TestB20ChatGPTKeepsItsMethod(t *testing.T) {
	t.Parallel()
	s := realWorld(t, servertest.Options{})
	keyed, bare := realInstallations["ChatGPT with its key, B20 two methods, CU-06"], realInstallations["ChatGPT as none, B18 no scope, B20 two methods"]
	for _, c := range []struct {
		name         string
		maker, other *installation
	}{{"made with the key", &keyed, &bare}, {"made without", &bare, &keyed}} {
		b := s.Browser()
		p := b.Submit(b.SignIn(b.Authorize(c.maker.request(t, s)), servertest.Person), "decision", allow())
		status, tokens := c.maker.token(s, p)
		if status != http.StatusOK {
			t.Fatalf("%s: token: %d %v", c.name, status, tokens)
		}
		if status, answer := c.other.next(s, tokens["refresh_token"]); status != http.StatusUnauthorized || answer["error"] != "invalid_client" {
			t.Errorf("%s: refresh by the other method: %d %v, want 401 invalid_client", c.name, status, answer)
		}
		if status := c.other.back(t, s, tokens["refresh_token"], "refresh_token"); status != http.StatusUnauthorized {
			t.Errorf("%s: revocation by the other method: %d, want 401", c.name, status)
		}
		if status, answer := c.maker.next(s, tokens["refresh_token"]); status != http.StatusOK {
			t.Errorf("%s: refresh: %d %v", c.name, status, answer)
		}
	}
}

// TestRealDocumentsRefused plays the invalid documents of the folder and real
// ones with one flaw each.
func TestRealDocumentsRefused(t *testing.T) {
	t.Parallel()
	const jwtBearer, device = "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:device_code"
	for name, c := range map[string]struct {
		id       string             // where it is served, and what the client calls itself
		like     string             // whose document it is; empty: id
		flaw     map[string]any     // members changed or, with nil, taken away
		redirect string             // empty: the document's first
		answer   *servertest.Answer // instead of a document
		status   int                // zero: 400
		reason   broker.Reason
		unasked  bool // nothing is fetched
	}{
		"mcpc, stored without its client_id": {id: mcpc, reason: broker.ReasonDocumentNoClientID},
		"atproto localhost":                  {id: "http://localhost", redirect: "http://127.0.0.1/", reason: broker.ReasonClientIDMalformed, unasked: true},
		"atproto localhost with parameters": {id: "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2F&scope=atproto", redirect: "http://127.0.0.1/",
			reason: broker.ReasonClientIDMalformed, unasked: true},
		"ChatGPT's template host under another id": {id: "https://chatgpt.com/oauth/other/client.json", like: chatgpt, status: 403,
			reason: broker.ReasonNoPolicyMatched, unasked: true},
		"Claude Code, client_id of another path": {id: claudeCode, flaw: map[string]any{"client_id": claudeAI}, reason: broker.ReasonDocumentMismatch},
		"Claude Code, client_id with a slash":    {id: claudeCode, flaw: map[string]any{"client_id": claudeCode + "/"}, reason: broker.ReasonDocumentMismatch},
		"Claude Code without a name":             {id: claudeCode, flaw: map[string]any{"client_name": nil}, reason: broker.ReasonDocumentName},
		"claude.ai with a secret":                {id: claudeAI, flaw: map[string]any{"client_secret": "s3cret"}, reason: broker.ReasonDocumentSecret},
		"claude.ai with client_secret_basic":     {id: claudeAI, flaw: map[string]any{"token_endpoint_auth_method": "client_secret_basic"}, reason: broker.ReasonDocumentAuthMethod},
		"claude.ai with jwt-bearer alone":        {id: claudeAI, flaw: map[string]any{"grant_types": []string{jwtBearer}}, reason: broker.ReasonDocumentNothingUsable},
		"claude.ai, answer on another host": {id: claudeAI, flaw: map[string]any{"redirect_uris": []string{"https://claude.com/api/mcp/auth_callback"}},
			redirect: "https://claude.com/api/mcp/auth_callback", status: 403, reason: broker.ReasonRedirectNotAllowed},
		"claude.ai, answer on loopback": {id: claudeAI, flaw: map[string]any{"redirect_uris": []string{"https://claude.ai/api/mcp/auth_callback", "http://localhost/callback"}},
			redirect: "http://localhost:5000/callback", status: 403, reason: broker.ReasonRedirectNotAllowed},
		"claude.ai behind a challenge, B32": {id: claudeAI, answer: &servertest.Answer{Status: 403, Header: map[string]string{"Content-Type": "text/html"}, Body: "<p>"},
			reason: broker.ReasonFetchStatus},
		"VS Code demands DPoP":           {id: vscode, flaw: map[string]any{"dpop_bound_access_tokens": true}, reason: broker.ReasonDocumentDemands},
		"VS Code with device_code alone": {id: vscode, flaw: map[string]any{"grant_types": []string{device}}, reason: broker.ReasonDocumentNothingUsable},
		"VS Code under localhost":        {id: vscode, redirect: "http://localhost:33418/", reason: broker.ReasonRedirectMismatch},
		"VS Code without its slash":      {id: vscode, redirect: "http://127.0.0.1:33418", reason: broker.ReasonRedirectMismatch},
		"VS Code, https with a port":     {id: vscode, redirect: "https://vscode.dev:8443/redirect", reason: broker.ReasonRedirectMismatch},
		"Goose with a wildcard port": {id: goose, flaw: map[string]any{"redirect_uris": []string{"http://localhost:*/oauth_callback"}},
			redirect: "http://localhost:5000/oauth_callback", reason: broker.ReasonDocumentRedirects},
		"Goose on 127.0.0.1":               {id: goose, redirect: "http://127.0.0.1:5000/oauth_callback", reason: broker.ReasonRedirectMismatch},
		"Claude Code on another loopback":  {id: claudeCode, redirect: "http://127.0.0.2:5000/callback", reason: broker.ReasonRedirectMismatch},
		"Claude Code with a name in front": {id: claudeCode, redirect: "http://claude.ai@localhost:5000/callback", reason: broker.ReasonRedirectMismatch},
		"Zed without redirect URIs":        {id: zed, flaw: map[string]any{"redirect_uris": nil}, redirect: "http://127.0.0.1:5000/callback", reason: broker.ReasonDocumentRedirects},
		"ChatGPT with its private key":     {id: chatgpt, flaw: map[string]any{"jwks_uri": nil, "jwks": privateKey()}, reason: broker.ReasonDocumentPrivateKey},
		"ChatGPT with keys elsewhere, CU-08": {id: chatgpt, flaw: map[string]any{"token_endpoint_auth_methods_supported": nil, "jwks_uri": "https://keys.chatgpt.com/oauth/jwks.json"},
			reason: broker.ReasonDocumentAuthMethod},
		"ChatGPT with ES512, A9":            {id: chatgpt, flaw: map[string]any{"token_endpoint_auth_methods_supported": nil, "token_endpoint_auth_signing_alg": "ES512"}, reason: broker.ReasonDocumentAuthMethod},
		"ChatGPT with methods nobody knows": {id: chatgpt, flaw: map[string]any{"token_endpoint_auth_method": "tls_client_auth", "token_endpoint_auth_methods_supported": nil}, reason: broker.ReasonDocumentAuthMethod},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := realWorld(t, servertest.Options{})
			if c.like == "" {
				c.like = c.id
			}
			redirect := c.redirect
			if realDocuments[c.like] != "" {
				a, first := flawed(t, c.like, c.flaw)
				s.Docs.Set(c.id, a)
				if redirect == "" {
					redirect = first
				}
			}
			if c.answer != nil {
				s.Docs.Set(c.id, *c.answer)
			}
			if c.status == 0 {
				c.status = http.StatusBadRequest
			}
			p := s.Browser().Authorize(s.Request(c.id, url.Values{"redirect_uri": {redirect}}))
			wantPage(t, s, p, c.status, c.reason)
			wantNobody(t, s)
			if got := s.Docs.Total(); got != 1 && !c.unasked || got != 0 && c.unasked {
				t.Errorf("%d fetches, want none: %v", got, c.unasked)
			}
		})
	}
}

// flawed is a real document with members changed, and its first redirect URI.
func flawed(t *testing.T, id string, flaw map[string]any) (servertest.Answer, string) {
	t.Helper()
	text := realDocument(t, id)
	var doc map[string]any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	redirect := doc["redirect_uris"].([]any)[0].(string)
	if flaw == nil {
		return servertest.Answer{Body: text}, redirect
	}
	for k, v := range flaw {
		if v == nil {
			delete(doc, k)
			continue
		}
		doc[k] = v
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Answer{Body: string(b)}, redirect
}

// privateKey is a key set that should have been reduced before it was
// published (B42).
func privateKey() map[string]any {
	return map[string]any{"keys": []map[string]any{{
		"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
		"d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
	}}}
}

// TestGooseAsksForItsDocumentsScopesOnly: the document's scope promises
// nothing; when nothing is left, the client is told by redirect.
func TestGooseAsksForItsDocumentsScopesOnly(t *testing.T) {
	t.Parallel()
	s := realWorld(t, servertest.Options{})
	i := installation{id: goose, redirect: "http://localhost:PORT/oauth_callback", scope: "openid profile email", state: "goose"}
	p := s.Browser().Authorize(i.request(t, s))
	if !strings.HasPrefix(p.Location, i.redirect+"?") || p.Param("error") != "invalid_scope" || p.Param("state") != "goose" || p.Param("iss") != s.Issuer {
		t.Errorf("location = %q, want invalid_scope at %s", p.Location, i.redirect)
	}
	wantRecord(t, s, p, broker.ReasonScopeNotAllowed)
}

// machine is one installation of Claude Code: a browser and a port of its own.
type machine struct {
	installation
	browser *servertest.Browser
	tokens  map[string]any
	spent   []any // refresh tokens it used before
}

// newMachine installs Claude Code and signs a person in with it.
func newMachine(t *testing.T, s *servertest.Server, person string) *machine {
	t.Helper()
	m := &machine{browser: s.Browser()}
	m.login(t, s, person)
	return m
}

// login connects the machine, on a new port as the client takes it each time.
func (m *machine) login(t *testing.T, s *servertest.Server, person string) {
	t.Helper()
	m.installation = installation{id: claudeCode, redirect: "http://localhost:PORT/callback", scope: "mcp:read", state: "s-" + person}
	p := m.browser.Authorize(m.request(t, s))
	if isSignIn(p) {
		p = m.browser.SignIn(p, person)
	}
	p = m.browser.Submit(p, "decision", allow())
	status, answer := m.token(s, p)
	if status != http.StatusOK || answer["refresh_token"] == nil {
		t.Fatalf("token: %d %v\n%s", status, answer, brief(p))
	}
	m.tokens = answer
}

// step refreshes the machine's tokens, which must work and stay its person's.
func (m *machine) step(t *testing.T, s *servertest.Server, what string) {
	t.Helper()
	before := m.tokens["refresh_token"]
	status, answer := m.next(s, before)
	if status != http.StatusOK {
		t.Errorf("%s: refresh: %d %v", what, status, answer)
		return
	}
	was, is := servertest.Claims(t, m.tokens["access_token"]), servertest.Claims(t, answer["access_token"])
	if was["sub"] != is["sub"] || was["jti"] == is["jti"] {
		t.Errorf("%s: claims went from %v to %v", what, was, is)
	}
	m.spent, m.tokens = append(m.spent, before), answer
}

// TestMachinesDoNotDisturbEachOther is B33, G-11, Q19: one client_id, three
// machines, two persons. What ends on one goes on on the others.
func TestMachinesDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	s := realWorld(t, servertest.Options{})
	desk := newMachine(t, s, servertest.Person)
	laptop := newMachine(t, s, servertest.Person)
	bobs := newMachine(t, s, "bob")
	desk.step(t, s, "desk, after two other logins")
	for round := range 3 {
		s.Clock.Advance(time.Minute)
		var wg sync.WaitGroup
		for name, m := range map[string]*machine{"desk": desk, "laptop": laptop, "bob": bobs} {
			wg.Go(func() { m.step(t, s, fmt.Sprintf("%s, round %d", name, round)) })
		}
		wg.Wait()
	}
	// A new login of the desk leaves its old session alone, too.
	old := *desk
	desk.login(t, s, servertest.Person)
	for name, m := range map[string]*machine{"desk, old session": &old, "desk": desk, "laptop": laptop, "bob": bobs} {
		m.step(t, s, name+" after a new login")
	}
	// A reuse of the old session's token ends that session alone.
	s.Clock.Advance(time.Hour)
	if status, _ := old.next(s, old.spent[0]); status != http.StatusBadRequest {
		t.Errorf("reuse: status %d, want 400", status)
	}
	if status, _ := old.next(s, old.tokens["refresh_token"]); status != http.StatusBadRequest {
		t.Errorf("the reused session goes on: status %d", status)
	}
	for name, m := range map[string]*machine{"desk": desk, "laptop": laptop, "bob": bobs} {
		m.step(t, s, name+" after a reuse elsewhere")
	}
	// A sign-off ends what signs off.
	if status := laptop.back(t, s, laptop.tokens["refresh_token"], "refresh_token"); status != http.StatusOK {
		t.Errorf("revoke: status %d", status)
	}
	if status, _ := laptop.next(s, laptop.tokens["refresh_token"]); status != http.StatusBadRequest {
		t.Errorf("the laptop goes on after it signed off: status %d", status)
	}
	for name, m := range map[string]*machine{"desk": desk, "bob": bobs} {
		m.step(t, s, name+" after the laptop signed off")
	}
	wantGrants(t, s, servertest.Person, 3, 1)
	wantGrants(t, s, "bob", 1, 1)
	if got := s.Docs.Hits(claudeCode); got != 1 {
		t.Errorf("%d fetches for one client_id within its freshness, want 1", got)
	}
	rows, err := s.Store.Clients(t.Context(), store.ClientQuery{})
	if err != nil || len(rows) != 1 {
		t.Errorf("clients = %d, %v, want one row for all machines", len(rows), err)
	}
}

// wantGrants checks how many grants a person gave, and how many live, each
// with a redirect URI of its own.
func wantGrants(t *testing.T, s *servertest.Server, person string, all, live int) {
	t.Helper()
	list, err := s.Store.Grants(t.Context(), store.GrantQuery{Subject: person, ClientID: claudeCode})
	if err != nil {
		t.Fatal(err)
	}
	alive, ports := 0, map[string]bool{}
	for _, g := range list {
		ports[g.RedirectURI] = true
		if g.EndedAt.IsZero() {
			alive++
		}
	}
	if len(list) != all || len(ports) != all || alive != live {
		t.Errorf("%s: %d grants at %d redirect URIs, %d alive; want %d and %d alive", person, len(list), len(ports), alive, all, live)
	}
}
