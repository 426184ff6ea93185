package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
)

// effectPolicy admits, lets refresh and remembers consents.
const effectPolicy = `package admission.policies.clients

client_ids := {"https://client.example.com/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
	"redirect": {"relation": "cross_site", "loopback": true},
	"token_endpoint_auth_methods": ["none", "private_key_jwt"],
	"consent": {"mode": "once", "max_age": "30d"},
	"document": {"ttl_floor": "10s"},
}
`

// effectPolicies are effectPolicy with further rules.
func effectPolicies(rules ...string) map[string]string {
	return map[string]string{"clients.rego": effectPolicy + strings.Join(rules, "\n")}
}

// nobody names no client.
var nobody = map[string]string{"defaults.rego": "package admission.defaults\n\nsettings := {}\n"}

// bothScopes are what the person of a holding was asked for and allowed.
const bothScopes = "mcp:read mcp:write"

// holding is a server with all that a client can have got before a change.
type holding struct {
	t       *testing.T
	s       *servertest.Server
	o       servertest.Options
	b       *servertest.Browser // of the person
	opaque  map[string]any      // tokens of the resource that introspects
	jwt     map[string]any      // tokens of the resource that reads JWTs
	waiting servertest.Page     // a code that is not redeemed yet
	hits    int                 // fetches before the change

	key *servertest.ClientKey // of a client that authenticates; nil: a public one
}

// asserted adds the client's authentication to a token request.
func (h *holding) asserted(f url.Values) url.Values {
	if h.key != nil {
		maps.Copy(f, h.s.Asserted(h.key, client))
	}
	return f
}

// keyed are members of a document with these keys.
func keyed(keys ...*servertest.ClientKey) map[string]any {
	return map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": servertest.KeySet(keys...)}
}

// hold plays three flows of one person and one client, each a grant.
func hold(t *testing.T, withKey bool, onChange string) *holding {
	t.Helper()
	h := &holding{t: t, o: servertest.Options{
		Policy: effectPolicies(), Dir: t.TempDir(), Resources: []broker.Resource{
			{ID: servertest.Resource, Name: "Example MCP server", Scopes: []string{"mcp:read", "mcp:write"}, TokenFormat: "jwt"},
			{ID: other, Name: "Other", Scopes: []string{"mcp:read", "mcp:write"}, TokenFormat: "opaque"},
		},
		Secrets: map[string]string{servertest.Resource: servertest.Secret, other: "another long secret of the other"},
	}}
	if onChange != "" {
		h.o.Policy = map[string]string{"clients.rego": strings.Replace(effectPolicy, `"ttl_floor"`, `"on_change": "`+onChange+`", "ttl_floor"`, 1)}
	}
	h.s = servertest.New(t, h.o)
	h.publish(nil)
	if withKey {
		h.key = servertest.NewClientKey(t, "ES256", "k1")
		h.publish(keyed(h.key))
	}
	h.b = h.s.Browser()
	tokens := func(resource string) map[string]any {
		q := url.Values{"resource": {resource}, "scope": {bothScopes}}
		p := h.b.Play(h.s.Request(client, q))
		status, answer, _ := h.s.Token(h.asserted(h.s.Exchange(client, p, url.Values{"resource": {resource}})))
		if status != http.StatusOK {
			t.Fatalf("tokens for %s: %d %v\n%s", resource, status, answer, brief(p))
		}
		return answer
	}
	h.jwt, h.opaque = tokens(servertest.Resource), tokens(other)
	h.waiting = h.b.Play(h.s.Request(client, url.Values{"scope": {bothScopes}}))
	h.hits = h.s.Docs.Total()
	return h
}

// publish makes the client's document one with changed members, fresh for ten
// seconds: less than a code lives.
func (h *holding) publish(members map[string]any) {
	h.t.Helper()
	doc := map[string]any{
		"client_id": client, "client_name": "Example", "redirect_uris": []string{redirectURI, docHost + "/callback"}, "grant_types": refreshing["grant_types"],
	}
	maps.Copy(doc, members)
	b, err := json.Marshal(doc)
	check(h.t, err)
	h.s.Docs.Set(client, servertest.Answer{Header: map[string]string{"Cache-Control": "max-age=10"}, Body: string(b)})
}

// changed publishes another document and has somebody meet it.
func (h *holding) changed(members map[string]any) {
	h.t.Helper()
	h.publish(members)
	h.s.Clock.Advance(20 * time.Second)
	h.begin(nil)
	if n := h.s.Docs.Total() - h.hits; n != 1 {
		h.t.Fatalf("%d fetches, want the one of the changed document", n)
	}
}

// restart stops the server and starts it with other options on its files.
func (h *holding) restart(change func(*servertest.Options)) {
	h.t.Helper()
	h.s.Stop()
	o := h.o
	o.Start = h.s.Clock.Now()
	change(&o)
	h.s = servertest.New(h.t, o)
	h.b, h.hits = h.s.Browser(), 0
}

// activate makes files the active policies.
func (h *holding) activate(files map[string]string) {
	h.t.Helper()
	activate(h.t, h.s, files)
}

// freeze sets the fact of policies that deny while it is true.
func (h *holding) freeze(on bool) {
	h.t.Helper()
	files := effectPolicies(`deny contains {"code": "change_freeze", "message": "a change freeze is on"} if input.facts.change_freeze`)
	files["facts.schema.json"] = `{"type": "object", "properties": {"change_freeze": {"type": "boolean", "default": false}}}`
	h.activate(files)
	check(h.t, h.s.SetFacts(map[string]any{"change_freeze": on}))
}

// block blocks something, as an operator does.
func (h *holding) block(kind broker.BlockKind, value string) {
	h.t.Helper()
	u := h.s.Store.Begin()
	check(h.t, h.s.Broker.Block(h.t.Context(), u, broker.Block{Kind: kind, Value: value, Reason: "incident", Actor: "operator"}))
	check(h.t, h.s.Store.Commit(h.t.Context(), u))
}

// digest is that of the stored document.
func (h *holding) digest() string {
	h.t.Helper()
	row, found, err := h.s.Store.Begin().Client(h.t.Context(), client)
	if err != nil || !found {
		h.t.Fatalf("client: %v, %v", found, err)
	}
	return row.DocumentSHA256
}

// begin starts a new authorization in a browser that has signed in to nothing.
func (h *holding) begin(changes url.Values) servertest.Page {
	h.t.Helper()
	return h.s.Browser().Authorize(h.s.Request(client, changes))
}

// wantPage checks that a new authorization ends on this server, for that
// reason and without a fetch.
func (h *holding) wantPage(status int, reason broker.Reason) {
	h.t.Helper()
	wantPage(h.t, h.s, h.begin(nil), status, reason)
	if n := h.s.Docs.Total() - h.hits; n != 0 {
		h.t.Errorf("%d fetches, want none", n)
	}
}

// wantSignIn checks that a new authorization goes on.
func (h *holding) wantSignIn() {
	h.t.Helper()
	if p := h.begin(nil); !isSignIn(p) {
		h.t.Errorf("status %d, want the sign-in page\n%s", p.Status, brief(p))
	}
}

// exchange redeems the waiting code.
func (h *holding) exchange() servertest.Page {
	h.t.Helper()
	return post(h.t, h.s, h.asserted(h.s.Exchange(client, h.waiting, nil)), nil)
}

// wantExchange checks the exchange; scope is empty where it is refused.
func (h *holding) wantExchange(scope string) {
	h.t.Helper()
	wantAnswer(h.t, "code exchange", h.exchange(), scope)
}

// wantRefresh checks a refresh; scope is empty where it is refused.
func (h *holding) wantRefresh(scope string) {
	h.t.Helper()
	f := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {h.opaque["refresh_token"].(string)}}
	p := post(h.t, h.s, h.asserted(f), nil)
	wantAnswer(h.t, "refresh", p, scope)
	if a := answerOf(h.t, p); a["refresh_token"] != nil {
		h.opaque = a
	}
}

// wantNothing presents a token request with the client's key and without.
func (h *holding) wantNothing(f url.Values) {
	h.t.Helper()
	for what, form := range map[string]url.Values{"without the key": maps.Clone(f), "with the key": h.asserted(maps.Clone(f))} {
		p := post(h.t, h.s, form, nil)
		if a := answerOf(h.t, p); p.Status != http.StatusBadRequest && p.Status != http.StatusUnauthorized || a["access_token"] != nil {
			h.t.Errorf("%s: %d %v, want no token", what, p.Status, a)
		}
	}
}

// wantAnswer checks an answer of the token endpoint.
func wantAnswer(t *testing.T, what string, p servertest.Page, scope string) {
	t.Helper()
	a := answerOf(t, p)
	if scope == "" && (p.Status != http.StatusBadRequest || a["error"] != "invalid_grant" || a["access_token"] != nil) {
		t.Errorf("%s: %d %v, want invalid_grant", what, p.Status, a)
	}
	if scope != "" && (p.Status != http.StatusOK || a["scope"] != scope) {
		t.Errorf("%s: %d %v, want tokens with scope %q", what, p.Status, a, scope)
	}
}

// wantActive checks the introspection of the opaque token.
func (h *holding) wantActive(active bool) {
	h.t.Helper()
	_, got, _ := introspect(h.t, h.s, "Other", "another long secret of the other", h.opaque["access_token"])
	if got["active"] != active || !active && len(got) != 1 {
		h.t.Errorf("introspection: %v, want active %v", got, active)
	}
}

// wantUntilExp checks what an API sees that reads the JWT by itself: the
// signature holds for a published key, whatever happened, until exp, which is
// five minutes after iat.
func (h *holding) wantUntilExp() {
	h.t.Helper()
	token := h.jwt["access_token"].(string)
	if _, err := h.s.Keys.VerifyJWT(token, "at+jwt"); err != nil {
		h.t.Errorf("the JWT at the API: %v, want it to hold", err)
	}
	c := servertest.Claims(h.t, token)
	if life := c["exp"].(float64) - c["iat"].(float64); life != 300 {
		h.t.Errorf("the JWT lives %v s, want the 300 of its settings", life)
	}
}

// change is one way to make the change of a row, and what each column shows
// afterwards; nil where the table says nothing.
type change struct {
	name     string
	key      bool   // the client authenticates
	onChange string // settings.document.on_change; empty: the default
	make     func(*holding)
	cells    [5]func(*holding)
}

// columns of the table.
var columns = [5]string{"new authorization", "code exchange", "refresh", "introspection (opaque)", "JWT at the API"}

// The cells that are alike in many rows.
var (
	noCode    = func(h *holding) { h.wantExchange("") }
	noRefresh = func(h *holding) { h.wantRefresh("") }
	goesOn    = func(h *holding) { h.wantRefresh(bothScopes) }
	redeems   = func(h *holding) { h.wantExchange(bothScopes) }
	inactive  = func(h *holding) { h.wantActive(false) }
	active    = func(h *holding) { h.wantActive(true) }
	untilExp  = (*holding).wantUntilExp
	signIn    = (*holding).wantSignIn
)

// refusing are the cells of a row that refuses everything: a page without a
// fetch, and nothing for what was held.
func refusing(status int, reason broker.Reason) [5]func(*holding) {
	return [5]func(*holding){func(h *holding) { h.wantPage(status, reason) }, noCode, noRefresh, inactive, untilExp}
}

// The changed documents of the row about what grants rest on.
var (
	withoutRedirect = func(h *holding) {
		h.changed(map[string]any{"redirect_uris": []string{docHost + "/callback"}})
	}
	noRedirect = func(h *holding) {
		wantPage(h.t, h.s, h.begin(nil), http.StatusBadRequest, broker.ReasonRedirectMismatch)
	}
	withoutKey = func(h *holding) { h.changed(map[string]any{"token_endpoint_auth_method": "none"}) }
	otherKey   = func(h *holding) {
		h.key = servertest.NewClientKey(h.t, "ES256", "k2")
		h.changed(keyed(h.key))
	}
	stopped = func(h *holding) {
		wantPage(h.t, h.s, h.begin(nil), http.StatusBadRequest, broker.ReasonDocumentChanged)
	}
	// Neither the key that the client has now nor the absence of one gets what
	// was made with the key before.
	noKeyedCode    = func(h *holding) { h.wantNothing(h.s.Exchange(client, h.waiting, nil)) }
	noKeyedRefresh = func(h *holding) {
		h.wantNothing(url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {h.opaque["refresh_token"].(string)}})
	}
	// bound is B8: the code goes on to the redirect URI that was approved, and
	// to no other.
	bound = func(h *holding) {
		elsewhere := h.s.Exchange(client, h.waiting, url.Values{"redirect_uri": {docHost + "/callback"}})
		wantAnswer(h.t, "exchange for the redirect URI that is left", post(h.t, h.s, h.asserted(elsewhere), nil), "")
		h.wantExchange(bothScopes)
	}
)

// effects are the rows of the README's table, word for word, with the changes
// that play them.
var effects = []struct {
	row     string
	changes []change
}{
	{"policy removed, narrowed or a deny added", []change{
		{name: "removed", make: func(h *holding) { h.activate(nobody) }, cells: [5]func(*holding){
			func(h *holding) { h.wantPage(403, broker.ReasonNoPolicyMatched); wantNobody(h.t, h.s) }, noCode, noRefresh, inactive, untilExp}},
		{name: "narrowed to other clients", make: func(h *holding) {
			h.activate(map[string]string{"clients.rego": strings.Replace(effectPolicy, "/**", "/elsewhere/**", 1)})
		}, cells: refusing(403, broker.ReasonNoPolicyMatched)},
		{name: "narrowed in scope", make: func(h *holding) {
			h.activate(map[string]string{"clients.rego": strings.Replace(effectPolicy, `["mcp:read", "mcp:write"]`, `["mcp:read"]`, 1)})
		}, cells: [5]func(*holding){
			signIn, func(h *holding) { h.wantExchange("mcp:read") },
			func(h *holding) { // the stored grant is unchanged: it is wide again with the policy
				h.wantRefresh("mcp:read")
				h.activate(effectPolicies())
				h.wantRefresh(bothScopes)
			}, active, untilExp}},
		{name: "deny added", make: func(h *holding) {
			h.activate(effectPolicies(`deny contains {"code": "no", "message": "no"} if input.client.host == "client.example.com"`))
		}, cells: refusing(403, broker.ReasonPolicyDenied)},
	}},
	{"client, host or document blocked", []change{
		{name: "client", make: func(h *holding) { h.block(broker.BlockURL, client) }, cells: refusing(403, broker.ReasonClientBlocked)},
		{name: "host", make: func(h *holding) { h.block(broker.BlockHost, "client.example.com") }, cells: refusing(403, broker.ReasonHostBlocked)},
		{name: "domain", make: func(h *holding) { h.block(broker.BlockDomain, "example.com") }, cells: refusing(403, broker.ReasonHostBlocked)},
		{name: "document", make: func(h *holding) { h.block(broker.BlockDocument, h.digest()) }, cells: refusing(403, broker.ReasonDocumentBlocked)},
	}},
	{"policy or block taken back", []change{
		{name: "policy", make: func(h *holding) {
			h.activate(nobody)
			h.wantRefresh("")
			h.activate(effectPolicies())
		}, cells: [5]func(*holding){signIn, nil, noRefresh, inactive, nil}},
		{name: "block", make: func(h *holding) {
			h.block(broker.BlockURL, client)
			h.wantRefresh("")
			u := h.s.Store.Begin()
			check(h.t, h.s.Broker.Unblock(h.t.Context(), u, "operator", broker.BlockURL, client))
			check(h.t, h.s.Store.Commit(h.t.Context(), u))
		}, cells: [5]func(*holding){signIn, nil, noRefresh, inactive, nil}},
	}},
	{"document changed: redirect URI removed, auth method weakened, key moved", []change{
		{name: "redirect URI removed", make: withoutRedirect, cells: [5]func(*holding){noRedirect, bound, noRefresh, inactive, untilExp}},
		{name: "redirect URI removed, met by who uses the other", make: func(h *holding) {
			h.publish(map[string]any{"redirect_uris": []string{docHost + "/callback"}})
			h.s.Clock.Advance(20 * time.Second)
			h.begin(url.Values{"redirect_uri": {docHost + "/callback"}})
		}, cells: [5]func(*holding){noRedirect, bound, noRefresh, inactive, untilExp}},
		{name: "redirect URI removed, accept", onChange: "accept", make: withoutRedirect, cells: [5]func(*holding){noRedirect, bound, goesOn, active, untilExp}},
		{name: "redirect URI removed, reapprove", onChange: "reapprove", make: withoutRedirect, cells: [5]func(*holding){noRedirect, bound, noRefresh, inactive, untilExp}},
		{name: "method weakened", key: true, make: withoutKey, cells: [5]func(*holding){signIn, noKeyedCode, noKeyedRefresh, inactive, untilExp}},
		{name: "method weakened, accept", key: true, onChange: "accept", make: withoutKey, cells: [5]func(*holding){signIn, noKeyedCode, noKeyedRefresh, active, untilExp}},
		{name: "method weakened, reapprove", key: true, onChange: "reapprove", make: withoutKey, cells: [5]func(*holding){stopped, noKeyedCode, noKeyedRefresh, inactive, untilExp}},
		{name: "method weakened, deny", key: true, onChange: "deny", make: withoutKey, cells: [5]func(*holding){stopped, noKeyedCode, noKeyedRefresh, inactive, untilExp}},
		{name: "key moved", key: true, make: otherKey, cells: [5]func(*holding){signIn, noKeyedCode, noKeyedRefresh, inactive, untilExp}},
		{name: "key moved, accept", key: true, onChange: "accept", make: otherKey, cells: [5]func(*holding){signIn, redeems, goesOn, active, untilExp}},
		{name: "key moved, reapprove", key: true, onChange: "reapprove", make: otherKey, cells: [5]func(*holding){stopped, noKeyedCode, noKeyedRefresh, inactive, untilExp}},
		{name: "key moved, deny", key: true, onChange: "deny", make: otherKey, cells: [5]func(*holding){stopped, noKeyedCode, noKeyedRefresh, inactive, untilExp}},
		{name: "redirect URI removed, deny", onChange: "deny", make: withoutRedirect, cells: [5]func(*holding){stopped, noCode, noRefresh, inactive, untilExp}},
	}},
	{"document changed: name, logo", []change{
		{name: "both", make: func(h *holding) {
			h.changed(map[string]any{"client_name": "Another name", "logo_uri": docHost + "/logo.png"})
		}, cells: [5]func(*holding){
			func(h *holding) {
				p := h.b.Authorize(h.s.Request(client, nil))
				if !isConsent(p) || mark(p, "client-name") != "Another name" {
					h.t.Errorf("status %d, name %q, want a consent page with the new name\n%s", p.Status, mark(p, "client-name"), brief(p))
				}
			}, redeems, goesOn, active, untilExp}},
	}},
	{"person left a group", []change{
		{name: "eng", make: func(h *holding) {
			rule := ` contains {"code": "eng", "message": "for engineering"} if not "eng" in input.user.groups`
			h.activate(effectPolicies("deny_user"+rule, "", "deny_refresh"+rule))
			h.wantRefresh(bothScopes)
			h.s.WritePeople(servertest.Account{Username: servertest.Person, Groups: []string{"sales"}}, servertest.Bob())
		}, cells: [5]func(*holding){
			func(h *holding) {
				b := h.s.Browser()
				wantRedirect(h.t, h.s, b.SignIn(b.Authorize(h.s.Request(client, nil)), servertest.Person), "access_denied", broker.ReasonPolicyDenied)
			}, nil, noRefresh, nil, untilExp}},
	}},
	{"consent withdrawn", []change{
		{name: "all", make: func(h *holding) {
			h.b.Submit(h.b.Get(h.s.Issuer+"/account"), "revoke_all", url.Values{"revoke_all": {"all"}})
		}, cells: [5]func(*holding){
			func(h *holding) {
				if p := h.b.Authorize(h.s.Request(client, nil)); !isConsent(p) || isShort(p) {
					h.t.Errorf("status %d, want the whole consent page\n%s", p.Status, brief(p))
				}
			}, noCode, noRefresh, inactive, untilExp}},
	}},
	{"CIMD switched off", []change{
		{name: "admit", make: func(h *holding) { h.restart(func(o *servertest.Options) { o.AdmitOff = true }) }, cells: [5]func(*holding){
			func(h *holding) {
				h.wantPage(403, broker.ReasonCIMDOff)
				m := answerOf(h.t, send(h.t, "GET", h.s.Issuer+"/.well-known/oauth-authorization-server", "", nil))
				if _, there := m["client_id_metadata_document_supported"]; there {
					h.t.Error("the flag is still advertised")
				}
			}, noCode, noRefresh, inactive, untilExp}},
	}},
	{"change freeze set (a fact)", []change{
		{name: "deny", make: func(h *holding) { h.freeze(true) }, cells: [5]func(*holding){
			func(h *holding) { h.wantPage(403, broker.ReasonPolicyDenied) }, noCode, noRefresh, inactive, untilExp}},
	}},
	{"change freeze taken back", []change{
		{name: "deny", make: func(h *holding) {
			h.freeze(true)
			noCode(h)
			noRefresh(h)
			inactive(h)
			h.freeze(false)
		}, cells: [5]func(*holding){signIn, redeems, goesOn, active, nil}},
	}},
	{"bundle broken", []change{
		{name: "a rule that does not compile", make: func(h *holding) {
			if err := h.s.Activate(effectPolicies("denny contains {}")); err == nil {
				h.t.Fatal("the broken policies were activated")
			}
		}, cells: [5]func(*holding){signIn, redeems, goesOn, active, nil}},
	}},
}

// TestEffects is design §9, B30, H-01, H-05, H-06, G-13, G-34: each cell of
// the table "When does a change take effect?" is played on a server of its
// own, and the README's table has the same rows and columns, with a dash just
// where no cell is played.
func TestEffects(t *testing.T) {
	t.Parallel()
	table := readmeTable(t, "## When does a change take effect?")
	if want := append([]string{"change"}, columns[:]...); !slices.Equal(table[0], want) {
		t.Fatalf("the README's columns are %q, want %q", table[0], want)
	}
	if len(table)-1 != len(effects) {
		t.Errorf("the README's table has %d rows, want %d", len(table)-1, len(effects))
	}
	for i, e := range effects {
		if i+1 >= len(table) || table[i+1][0] != e.row {
			t.Errorf("row %d of the README is %q, want %q", i+1, table[min(i+1, len(table)-1)][0], e.row)
			continue
		}
		for _, c := range e.changes {
			for col, play := range c.cells {
				if said := table[i+1][col+1]; (said == "–") != (play == nil) {
					t.Errorf("%s, %s: the README says %q, a test plays it: %v", e.row, columns[col], said, play != nil)
				}
				if play == nil {
					continue
				}
				t.Run(e.row+"/"+c.name+"/"+columns[col], func(t *testing.T) {
					t.Parallel()
					h := hold(t, c.key, c.onChange)
					h.t = t
					c.make(h)
					play(h)
				})
			}
		}
	}
}

// readmeTable reads the first table below a heading of the README, row by row;
// the line of dashes is left out.
func readmeTable(t *testing.T, heading string) [][]string {
	t.Helper()
	raw, err := os.ReadFile("../README.md")
	check(t, err)
	_, section, found := strings.Cut(string(raw), "\n"+heading+"\n")
	if !found {
		t.Fatalf("the README has no section %q", heading)
	}
	var rows [][]string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|---"):
		case strings.HasPrefix(line, "|"):
			var cells []string
			for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			rows = append(rows, cells)
		case len(rows) > 0:
			return rows
		}
	}
	return rows
}
