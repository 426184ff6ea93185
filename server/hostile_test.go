package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/rs/zerolog"
	"golang.org/x/net/html"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/server"
	"guestlist/server/servertest"
	"guestlist/store"
)

// besieged is a server behind a trusted proxy that is sent hostile strings,
// each request from an address of its own.
type besieged struct {
	*servertest.Server
	t    *testing.T
	h    *server.Server
	log  *servertest.Buffer
	sent int
	turn int // see some
	keys *servertest.ClientKey

	nobody map[string]string // requests by their id that named a client that is none, and how

	cookies, ticket, csrf, code, access, refresh string // of a person and a client that do all right
}

// keyedClient is the client that proves itself with a key.
const keyedClient = docHost + "/keyedClient.json"

// besiege starts one and plays a flow up to a code that nobody takes, and
// another up to its tokens.
func besiege(t *testing.T) *besieged {
	t.Helper()
	files := policy()
	files["clients.rego"] = strings.Replace(files["clients.rego"], "settings := {", `settings := {"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true},`, 1)
	s := start(t, servertest.Options{Policy: files, Budgets: broker.Budgets{PerSource: 1e6, PerDomain: 1e6, Total: 1e6}})
	b := &besieged{Server: s, t: t, log: &servertest.Buffer{}, keys: servertest.NewClientKey(t, "ES256", "k"), nobody: map[string]string{}}
	s.Docs.Publish(keyedClient, map[string]any{
		"token_endpoint_auth_method": "private_key_jwt", "jwks": servertest.KeySet(b.keys), "grant_types": []string{"authorization_code", "refresh_token"},
	})
	cfg := productionConfig(t, s, proxied)
	cfg.Log, cfg.TrustedProxies = zerolog.New(decisionlog.Quiet{W: b.log}), []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	cfg.Secrets = map[string]server.Secret{servertest.Resource: sha256.Sum256([]byte(servertest.Secret))}
	var err error
	if b.h, err = server.New(cfg); err != nil {
		t.Fatal(err)
	}
	q := s.Request(keyedClient, nil)
	p := b.send("GET", "/authorize?"+q.Encode(), "", nil)
	p = b.submit(p, "password", url.Values{"username": {servertest.Person}, "password": {servertest.Password}})
	if p.Status != http.StatusSeeOther {
		t.Fatalf("sign-in: %d\n%s", p.Status, brief(p))
	}
	consent := b.send("GET", strings.TrimPrefix(p.Location, proxied), "", nil)
	p = b.submit(consent, "decision", allow())
	f := s.Exchange(keyedClient, p, s.Asserted(b.keys, keyedClient))
	f.Set("client_assertion", b.assertion(nil, nil))
	tokens := answerOf(t, b.send("POST", "/token", f.Encode(), formHeader()))
	b.access, b.refresh = fmt.Sprint(tokens["access_token"]), fmt.Sprint(tokens["refresh_token"])
	if b.access == "<nil>" || b.refresh == "<nil>" {
		t.Fatalf("no tokens: %v", tokens)
	}
	consent = b.send("GET", "/authorize?"+q.Encode(), "", nil)
	p = b.submit(consent, "decision", allow())
	b.code = p.Param("code")
	consent = b.send("GET", "/authorize?"+q.Encode(), "", nil)
	_, form, ok := consent.Form("decision")
	if b.ticket, b.csrf = form.Get("ticket"), form.Get("csrf"); !ok || b.code == "" {
		t.Fatalf("no second flow: %d %q\n%s", consent.Status, p.Location, brief(consent))
	}
	return b
}

// assertion is one of the keyedClient client for the issuer behind the proxy.
func (b *besieged) assertion(header, changes map[string]any) string {
	claims := map[string]any{"aud": proxied}
	maps.Copy(claims, changes)
	return b.Assertion(b.keys, keyedClient, header, claims)
}

// send is one request, with the cookies of before.
func (b *besieged) send(method, path, body string, header http.Header) servertest.Page {
	b.t.Helper()
	return b.do(func(r *http.Request) {
		for k, v := range header {
			r.Header[k] = v
		}
	}, method, path, body)
}

// do is one request that change has the last word about.
func (b *besieged) do(change func(*http.Request), method, path, body string) servertest.Page {
	b.t.Helper()
	r := httptest.NewRequest(method, proxied+path, strings.NewReader(body))
	b.sent++
	r.RemoteAddr = fmt.Sprintf("198.%d.%d.%d:9", 18+b.sent>>16&1, b.sent>>8&255, b.sent&255)
	if b.cookies != "" {
		r.Header.Set("Cookie", b.cookies)
	}
	change(r)
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	p := servertest.Page{Status: w.Code, Header: w.Header(), Body: w.Body.String(), Location: w.Header().Get("Location"), URL: proxied + path}
	checkAnswer(b.t, p)
	if b.sent%500 == 0 {
		if err := b.Batch.Flush(b.t.Context()); err != nil {
			b.t.Fatal(err)
		}
	}
	if b.ticket == "" { // the good flow still goes on
		for _, line := range p.Header.Values("Set-Cookie") {
			pair, _, _ := strings.Cut(line, ";")
			b.cookies = strings.TrimPrefix(b.cookies+"; "+pair, "; ")
		}
	}
	return p
}

// submit sends a form of a page.
func (b *besieged) submit(p servertest.Page, element string, values url.Values) servertest.Page {
	b.t.Helper()
	action, fields, ok := p.Form(element)
	if !ok {
		b.t.Fatalf("no form with %q: %d\n%s", element, p.Status, brief(p))
	}
	maps.Copy(fields, values)
	return b.send("POST", action, fields.Encode(), formHeader())
}

// endpoint is how an endpoint is asked rightly.
type endpoint struct {
	route, method string
	good          func(b *besieged) url.Values // parameters that are right
	also          []string                     // parameters that it may have beside them
	header        func(b *besieged) http.Header
	path          string // where the route has a variable
}

// basicOf is an Authorization header.
func basicOf(user, secret string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+secret))}}
}

// endpoints has every route of the router, see TestHostileRequests.
var endpoints = []endpoint{
	{route: "/authorize", method: "GET", good: func(b *besieged) url.Values { return b.Request(keyedClient, nil) },
		also: []string{"prompt", "response_mode", "request", "request_uri", "nonce", "login_hint", "max_age", "client_secret", "code"}},
	{route: "/authorize", method: "POST", good: func(b *besieged) url.Values { return b.Request(client, nil) }, also: []string{"prompt", "response_mode"}},
	{route: "/signin", method: "GET", good: noParameters, also: []string{"ticket", "username"}},
	{route: "/signin", method: "POST", good: func(b *besieged) url.Values {
		return url.Values{"ticket": {b.ticket}, "csrf": {b.csrf}, "username": {"alice"}, "password": {"wrong"}}
	}},
	{route: "/signout", method: "POST", good: func(b *besieged) url.Values { return url.Values{"csrf": {"wrong"}, "ticket": {b.ticket}} }},
	{route: "/consent", method: "GET", good: func(b *besieged) url.Values { return url.Values{"ticket": {b.ticket}} }},
	{route: "/consent", method: "POST", good: func(b *besieged) url.Values {
		return url.Values{"ticket": {b.ticket}, "csrf": {b.csrf}, "decision": {"later"}, "scope": {"mcp:read"}}
	}},
	{route: "/account", method: "GET", good: noParameters},
	{route: "/account", method: "POST", good: func(b *besieged) url.Values { return url.Values{"csrf": {b.csrf}, "revoke": {"wrong"}} }, also: []string{"revoke_all"}},
	{route: "/token", method: "POST", good: func(b *besieged) url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "client_id": {keyedClient}, "code": {b.code}, "redirect_uri": {redirectURI}, "code_verifier": {strings.Repeat("w", 43)},
			"client_assertion": {b.assertion(nil, nil)}, "client_assertion_type": {servertest.AssertionType}, "resource": {servertest.Resource}}
	}, also: []string{"client_secret", "scope", "username", "password", "assertion"}},
	{route: "/token", method: "POST", good: func(b *besieged) url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {b.code}, "redirect_uri": {redirectURI}, "code_verifier": {servertest.Verifier}}
	}},
	{route: "/token", method: "POST", good: func(b *besieged) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "client_id": {keyedClient}, "refresh_token": {"wrong"}, "scope": {"mcp:read"}, "resource": {servertest.Resource},
			"client_assertion": {b.assertion(nil, nil)}, "client_assertion_type": {servertest.AssertionType}}
	}},
	{route: "/revoke", method: "POST", good: func(b *besieged) url.Values { return url.Values{"token": {"wrong"}, "client_id": {client}} }, also: []string{"token_type_hint"}},
	{route: "/introspect", method: "POST", good: func(b *besieged) url.Values { return url.Values{"token": {b.access}} }, also: []string{"token_type_hint"},
		header: func(*besieged) http.Header { return basicOf("Example MCP server", servertest.Secret) }},
	{route: "/introspect", method: "POST", good: func(b *besieged) url.Values { return url.Values{"token": {"wrong"}} }},
	{route: "/jwks", method: "GET", good: noParameters},
	{route: "/help/{reason}", method: "GET", good: noParameters, path: "/help/try_later"},
	{route: "/livez", method: "GET", good: noParameters},
	{route: "/readyz", method: "GET", good: noParameters},
	{route: "/.well-known/oauth-authorization-server", method: "GET", good: noParameters},
	{route: "/.well-known/openid-configuration", method: "GET", good: noParameters},
}

func noParameters(*besieged) url.Values { return url.Values{} }

// hostileHeaders are what a client or a proxy sends beside the parameters.
var hostileHeaders = []string{
	"User-Agent", "Referer", "Origin", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "Authorization",
	"Content-Type", "Traceparent", "Tracestate", "X-Request-Id", "Cookie", "Accept", "Accept-Language", "Sec-Fetch-Site", "Content-Encoding", "X-Unknown",
}

// G-01 CU-21: whatever a stranger writes into any parameter, header, method or
// path of any endpoint, the log stays one line a request, the records stay
// records, and answers stay what this server says.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	routes, err := server.Routes(b.h)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		if !slices.ContainsFunc(endpoints, func(e endpoint) bool { return e.route == route }) {
			t.Errorf("no hostile string is sent to %s: give it a row in endpoints", route)
		}
	}
	for _, e := range endpoints {
		for _, h := range servertest.HostileStrings() {
			b.parameters(e, h)
			b.headers(e, h)
		}
	}
	b.paths()
	b.credentials()
	lines := servertest.CheckLog(t, b.log.String())
	if len(lines) != b.sent {
		t.Errorf("%d lines of the log are whole, want one for each of %d requests", len(lines), b.sent)
	}
	for _, line := range lines {
		if how, ok := b.nobody[fmt.Sprint(line["request_id"])]; ok && (line["client_id"] != nil || strings.Contains(fmt.Sprint(line), servertest.HostileMark)) {
			t.Errorf("%s: the log has what is no identifier: %.500v", how, line)
		}
	}
	b.checkRecords()
}

// parameters puts h into each parameter, into the name of one, and in place of
// all of them.
func (b *besieged) parameters(e endpoint, h servertest.Hostile) {
	good := e.good(b)
	for name := range good {
		f := maps.Clone(good)
		f[name] = []string{h.Text}
		b.unnamed(e, name, h, b.ask(e, f.Encode()))
	}
	for _, name := range b.some(append(slices.Clone(e.also), "unknown", h.Text)) {
		f := maps.Clone(good)
		f[name] = []string{h.Text}
		b.ask(e, f.Encode())
	}
	b.ask(e, h.Text)
	b.ask(e, url.Values{h.Text: {"a", "b"}}.Encode())
}

// some are three of these places, others each time: a string meets several of
// them, and each of them meets strings of every kind.
func (b *besieged) some(places []string) []string {
	b.turn += 3
	var out []string
	for i := range min(3, len(places)) {
		out = append(out, places[(b.turn+i)%len(places)])
	}
	return out
}

// unnamed notes that a client_id is none, which then leaves its digest alone.
func (b *besieged) unnamed(e endpoint, parameter string, h servertest.Hostile, p servertest.Page) {
	if parameter != "client_id" {
		return
	}
	if _, err := cimd.Parse(h.Text); err == nil {
		b.t.Fatalf("%s is a client identifier", h.Name)
	}
	b.nobody[p.Header.Get("X-Request-Id")] = e.route + ", client_id " + h.Name
}

// ask sends parameters the way the endpoint takes them.
func (b *besieged) ask(e endpoint, parameters string) servertest.Page {
	path := e.route
	if e.path != "" {
		path = e.path
	}
	header := http.Header{}
	if e.header != nil {
		header = e.header(b)
	}
	if e.method == "POST" {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
		return b.send(e.method, path, parameters, header)
	}
	return b.do(func(r *http.Request) { r.URL.RawQuery = parameters }, e.method, path, "")
}

// headers puts h into each header of the endpoints that start something, and
// into all of them of every endpoint.
func (b *besieged) headers(e endpoint, h servertest.Hostile) {
	path, parameters, body := e.route, e.good(b).Encode(), ""
	if e.path != "" {
		path = e.path
	}
	if e.method == "POST" {
		body = parameters
	} else {
		path += "?" + parameters
	}
	with := func(peer string, names ...string) {
		b.do(func(r *http.Request) {
			if e.method == "POST" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if peer != "" {
				r.RemoteAddr = peer
			}
			for _, name := range names {
				r.Header[name] = []string{h.Text}
			}
		}, e.method, path, body)
	}
	if e.route == "/authorize" || e.route == "/token" {
		for _, name := range b.some(hostileHeaders) {
			with("", name)
		}
	}
	with("", hostileHeaders...)
	with("10.0.0.1:9", hostileHeaders...)
	b.do(func(r *http.Request) { r.Host = h.Text }, e.method, path, body)
}

// paths asks for what is not there, by methods that are none.
func (b *besieged) paths() {
	for _, h := range servertest.HostileStrings() {
		for _, dir := range []string{"/", "/help/", "/authorize/", "/.well-known/"} {
			b.do(func(r *http.Request) { r.URL = &url.URL{Path: dir + h.Text} }, "GET", "/", "")
			b.do(func(r *http.Request) {
				r.URL = &url.URL{Path: dir + h.Text, RawPath: dir + url.PathEscape(h.Text)}
			}, "GET", "/", "")
		}
	}
	// Characters of a token are all that net/http lets through (RFC 9110 section 5.6.2).
	for _, method := range []string{"!#$%&'*+-.^_`|~" + servertest.HostileMark, strings.Repeat("A", 30_000), "CONNECT", "TRACE", "get"} {
		for _, path := range []string{"/token", "/authorize", "/nowhere"} {
			b.do(func(r *http.Request) { r.Method = method }, "GET", path, "")
		}
	}
}

// credentials puts hostile strings into what has an encoding of its own.
func (b *besieged) credentials() {
	exchange := endpoints[slices.IndexFunc(endpoints, func(e endpoint) bool { return e.route == "/token" })]
	for _, h := range servertest.HostileStrings() {
		for _, path := range []string{"/token", "/revoke", "/introspect"} {
			for _, auth := range []http.Header{basicOf(h.Text, ""), basicOf(url.QueryEscape(h.Text), ""), basicOf(h.Text, h.Text), {"Authorization": {"Bearer " + h.Text}}} {
				auth.Set("Content-Type", "application/x-www-form-urlencoded")
				p := b.send("POST", path, "grant_type=authorization_code&code=wrong&token=wrong", auth)
				b.unnamed(endpoint{route: path}, "client_id", h, p)
			}
		}
		for _, claim := range b.some([]string{"iss", "sub", "aud", "jti", "exp", "iat", "nbf", h.Text}) {
			b.assert(exchange, nil, map[string]any{claim: h.Text})
		}
		b.assert(exchange, nil, map[string]any{"iss": h.Text, "sub": h.Text})
		b.assert(exchange, nil, map[string]any{"aud": many(h.Text)})
		for _, name := range b.some([]string{"typ", "kid", "cty", "jku", "x5u", h.Text}) {
			b.assert(exchange, map[string]any{name: h.Text}, nil)
		}
		f := exchange.good(b)
		for _, part := range []string{h.Text, base64.RawURLEncoding.EncodeToString([]byte(h.Text)), `{"alg":"` + h.Text + `"}`} {
			f.Set("client_assertion", part+"."+part+"."+part)
			b.ask(exchange, f.Encode())
			parts := strings.Split(b.assertion(nil, nil), ".")
			f.Set("client_assertion", part+"."+parts[1]+"."+parts[2])
			b.ask(exchange, f.Encode())
		}
	}
}

// many is a list that is as long as a request may be.
func many(s string) []string {
	return slices.Repeat([]string{s[:min(len(s), 20)]}, 200)
}

// assert sends an assertion with these members, without the client_id that
// would be compared first.
func (b *besieged) assert(e endpoint, header, claims map[string]any) {
	f := e.good(b)
	f.Del("client_id")
	f.Set("client_assertion", b.assertion(header, claims))
	b.ask(e, f.Encode())
}

// checkRecords holds every record of the server against the schema, in both
// views.
func (b *besieged) checkRecords() {
	b.t.Helper()
	if err := b.Batch.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	checkRecords(b.t, b.Server, func(r decisionlog.Record, line []byte) {
		if how, ok := b.nobody[r.RequestID]; ok && (r.ClientID != "" || strings.Contains(string(line), servertest.HostileMark)) {
			b.t.Errorf("%s: the record has what is no identifier: %.500s", how, line)
		}
	})
}

// checkRecords is CheckRecord for every record, in every view, and the schema
// for one of each kind and shape.
func checkRecords(t *testing.T, s *servertest.Server, also func(r decisionlog.Record, line []byte)) {
	t.Helper()
	schema := schemaOfRecords(t)
	opa, err := decisionlog.View(decisionlog.ViewOPA)
	if err != nil {
		t.Fatal(err)
	}
	native, err := decisionlog.View(decisionlog.ViewNative)
	if err != nil {
		t.Fatal(err)
	}
	seen, shapes := 0, map[string]bool{}
	for after := uint64(0); ; {
		sealed, err := s.Store.Records(t.Context(), store.RecordQuery{After: after, Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) == 0 {
			break
		}
		for _, r := range sealed {
			after, seen = r.Seq, seen+1
			for _, view := range []func(decisionlog.Sealed) ([]byte, error){native, opa} {
				line, err := view(r)
				if err != nil {
					t.Fatal(err)
				}
				servertest.CheckRecord(t, line)
			}
			line, _ := native(r)
			record, err := r.Record()
			var value map[string]any
			if err := errors.Join(err, json.Unmarshal(line, &value)); err != nil {
				t.Fatalf("record %d: %v", r.Seq, err)
			}
			also(record, line)
			shape := fmt.Sprint(record.Event, record.Outcome, record.Reason, slices.Sorted(maps.Keys(value)))
			if shapes[shape] {
				continue
			}
			shapes[shape] = true
			if err := schema.Validate(value); err != nil {
				t.Errorf("record %d: %v\n%.500s", r.Seq, err, line)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d records: too few to prove anything", seen)
	}
}

// schemaOfRecords is the published schema, ready to check.
func schemaOfRecords(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	b, err := json.Marshal(decisionlog.Schema())
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// checkAnswer holds that an answer is the server's alone: what was sent is in
// it as text, never as markup or as a header.
func checkAnswer(t *testing.T, p servertest.Page) {
	t.Helper()
	for name, values := range p.Header {
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%.100s: header %s is %.200q", p.URL, name, v)
			}
		}
	}
	if got := p.Header.Get("WWW-Authenticate"); got != "" && got != `Basic realm="guestlist"` {
		t.Errorf("%.100s: WWW-Authenticate is %.200q", p.URL, got)
	}
	if p.Location != "" {
		u, err := url.Parse(p.Location)
		if err != nil {
			t.Fatalf("%.100s: %v", p.URL, err)
		}
		checkDescription(t, p, u.Query().Get("error_description"))
		if proven := strings.HasPrefix(p.Location, redirectURI+"?"); !proven && !strings.HasPrefix(p.Location, "/") && !strings.HasPrefix(p.Location, proxied) {
			t.Errorf("%.100s: a redirect to %.200q", p.URL, p.Location)
		}
	}
	switch kind, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";"); kind {
	case "application/json":
		var answer map[string]any
		if err := json.Unmarshal([]byte(p.Body), &answer); err != nil {
			t.Errorf("%.100s: %v\n%.300q", p.URL, err, p.Body)
		}
		said, _ := answer["error_description"].(string)
		checkDescription(t, p, said)
	case "text/html":
		checkMarkup(t, p)
	case "text/plain", "":
		if strings.Contains(p.Body, servertest.HostileMark) {
			t.Errorf("%.100s: what was sent comes back as %.300q", p.URL, p.Body)
		}
	default:
		t.Errorf("%.100s: an answer of type %.100q", p.URL, kind)
	}
}

// checkDescription holds RFC 6749 section 4.1.2.1.
func checkDescription(t *testing.T, p servertest.Page, s string) {
	t.Helper()
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) || len(s) > 500 {
		t.Errorf("%.100s: error_description is %.300q", p.URL, s)
	}
}

// checkMarkup holds that a page has no element or attribute that acts, and no
// invisible character but the joiners that some scripts need.
func checkMarkup(t *testing.T, p servertest.Page) {
	t.Helper()
	if loud := servertest.Loud(strings.NewReplacer("\n", "", "\u200c", "", "\u200d", "").Replace(p.Body)); loud != "" {
		t.Errorf("%.100s: the page has %s", p.URL, loud)
	}
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if slices.Contains([]string{"script", "img", "iframe", "object"}, n.Data) {
			t.Errorf("%.100s: the page has an element %s", p.URL, n.Data)
		}
		for _, a := range n.Attr {
			link := strings.ToLower(strings.TrimSpace(a.Val))
			if strings.HasPrefix(a.Key, "on") || (a.Key == "href" || a.Key == "src" || a.Key == "action") && strings.HasPrefix(link, "javascript:") {
				t.Errorf("%.100s: the page has an attribute %s=%.100q", p.URL, a.Key, a.Val)
			}
		}
	}
}
