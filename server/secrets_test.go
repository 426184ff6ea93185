package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server"
	"guestlist/server/servertest"
	"guestlist/server/tracing"
	"guestlist/store"
)

// canaries are the secrets of a test, by what they are.
type canaries map[string]string

// spellings are the forms in which a secret could leak: as it is, encoded, and
// its beginning.
func spellings(secret string) map[string]string {
	b := []byte(secret)
	out := map[string]string{
		"as it is": secret, "percent-encoded": url.QueryEscape(secret), "in a path": url.PathEscape(secret), "in hex": hex.EncodeToString(b),
		"in base64": base64.RawStdEncoding.EncodeToString(b), "in base64url": base64.RawURLEncoding.EncodeToString(b), "the first 16 bytes": secret[:16],
	}
	if quoted, err := json.Marshal(secret); err == nil {
		out["in JSON"] = strings.Trim(string(quoted), `"`)
	}
	return out
}

// found says which secrets a text has, and how they are spelt.
func (c canaries) found(text string) []string {
	var out []string
	for name, secret := range c {
		for how, spelt := range spellings(secret) {
			if strings.Contains(text, spelt) {
				out = append(out, name+" "+how)
			}
		}
	}
	return out
}

// leaky is a store that panics with what it is told.
type leaky struct {
	store.Store
	with atomic.Value // what to panic with; nil: not
}

// Begin implements store.Store.
func (l *leaky) Begin() store.Unit {
	if p := l.with.Load(); p != nil {
		panic(p)
	}
	return l.Store.Begin()
}

// secretive is a server, everything that leaves it, and the secrets of flows.
type secretive struct {
	*servertest.Server
	t     *testing.T
	b     *servertest.Browser
	log   *servertest.Buffer
	store *leaky
	know  canaries

	mu    sync.Mutex
	spans strings.Builder // guarded by mu
	trace *tracing.Tracing
	pages []servertest.Page
}

// newSecretive starts it with tracing on and every line of the log.
func newSecretive(t *testing.T) *secretive {
	t.Helper()
	s := &secretive{t: t, log: &servertest.Buffer{}, know: canaries{}}
	var err error
	if s.trace, err = tracing.New(tracing.Config{Sample: 1, Version: "test", Failing: func(error) {}, Post: func(_ context.Context, body []byte) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.spans.Write(body)
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	s.know["resource secret"] = "canary-resource-secret-5d1f0c"
	files := policy()
	files["clients.rego"] = strings.Replace(files["clients.rego"], "settings := {", `settings := {"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true},`, 1)
	s.Server = start(t, servertest.Options{
		Log: s.log, Policy: files, Observe: s.observed(), Budgets: broker.Budgets{PerSource: 1e6, PerDomain: 1e6, Total: 1e6},
		Resources: []broker.Resource{
			{ID: servertest.Resource, Name: "Example MCP server", Scopes: []string{"mcp:read"}, TokenFormat: "jwt"},
			{ID: other, Name: "Other", Scopes: []string{"mcp:read"}, TokenFormat: "opaque"},
		},
		Secrets: map[string]string{servertest.Resource: s.know["resource secret"], other: "canary-other-secret-77aa01bc"},
		Wrap: func(st store.Store) store.Store {
			s.store = &leaky{Store: st}
			return s.store
		},
	})
	s.Docs.Publish(client, refreshing)
	s.b = s.Browser()
	return s
}

// observed traces all that happens.
func (s *secretive) observed() servertest.Observer {
	part := func(ctx context.Context, p tracing.Part) { s.trace.Part(ctx, p) }
	return servertest.Observer{
		Server: server.Observer{
			Enter: func(r *http.Request, trusted bool) (context.Context, server.Trace) {
				ctx, traceID, spanID := s.trace.Enter(r, trusted)
				return ctx, server.Trace{TraceID: traceID, SpanID: spanID}
			},
			Left: func(ctx context.Context, seen server.Seen) {
				s.trace.Left(ctx, seen.Route, seen.Status, string(seen.Reason))
			},
			Committed: func(ctx context.Context, began time.Time, took time.Duration, err error) {
				part(ctx, tracing.Part{Name: "commit", Began: began, Took: took})
			},
		},
		Broker: broker.Observer{
			Decided: func(ctx context.Context, d broker.Decided) {
				part(ctx, tracing.Part{Name: "decision", Began: d.Began, Took: d.Took, Host: d.Host, Phase: string(d.Phase), Result: d.Outcome, Reason: string(d.Reason)})
			},
			Fetched: func(ctx context.Context, f broker.Fetched) {
				part(ctx, tracing.Part{Name: "fetch", Began: f.Began, Took: f.Took, Host: f.Host, Reason: string(f.Reason)})
			},
		},
	}
}

// see keeps an answer, and the secrets that its forms hide.
func (s *secretive) see(p servertest.Page) servertest.Page {
	for _, element := range []string{"password", "decision"} {
		if _, f, ok := p.Form(element); ok && f.Get("ticket") != "" {
			s.know["csrf of "+element], s.know["ticket of "+element] = f.Get("csrf"), f.Get("ticket")
		}
	}
	s.pages = append(s.pages, p)
	return p
}

// form posts a form without cookies.
func (s *secretive) form(path string, f url.Values, header http.Header) servertest.Page {
	s.t.Helper()
	h := formHeader()
	maps.Copy(h, header)
	return s.see(send(s.t, http.MethodPost, s.Issuer+path, f.Encode(), h))
}

// flow plays a flow to tokens for a resource, with each step done wrong first.
func (s *secretive) flow(resource string) {
	s.t.Helper()
	k := s.know
	k["wrong password"], k["guess"], k["state"], k["nonce"], k["verifier"] = "canary-wrong-password", "canary-guessed-secret", "canary-state-0123456789", "canary-nonce-0123456789", servertest.Verifier
	k["wrong verifier"], k["password"] = strings.Repeat("canarywrong", 4), servertest.Password
	ask := url.Values{"resource": {resource}}
	// The state that this client sends stands in its redirect, where it belongs.
	p := s.see(s.b.Authorize(s.Request(client, url.Values{"resource": {resource}, "state": {k["state"]}, "nonce": {k["nonce"]}})))
	if _, _, ok := p.Form("password"); ok {
		p = s.see(s.b.Submit(p, "password", url.Values{"username": {servertest.Person}, "password": {k["wrong password"]}}))
		p = s.see(s.b.SignIn(p, servertest.Person))
	}
	p = s.b.Submit(p, "decision", allow())
	for c := range strings.SplitSeq(s.b.Cookies(), "; ") {
		name, value, _ := strings.Cut(c, "=")
		k["cookie "+name] = value
	}
	k["code "+resource] = p.Param("code")
	s.form("/token", s.Exchange(client, p, url.Values{"resource": {resource}, "code_verifier": {k["wrong verifier"]}}), nil)
	s.form("/token", s.Exchange(client, p, ask), basic(url.QueryEscape(client), k["guess"]))
	s.form("/token", s.Exchange(client, p, url.Values{"resource": {resource}, "client_secret": {k["guess"]}}), nil)
	asserted := s.Asserted(servertest.NewClientKey(s.t, "ES256", "canary"), client)
	k["assertion"] = asserted.Get("client_assertion")
	s.form("/token", s.Exchange(client, p, asserted), nil)
	got := answerOf(s.t, post(s.t, s.Server, s.Exchange(client, p, ask), nil))
	k["access token "+resource], k["refresh token "+resource] = fmt.Sprint(got["access_token"]), fmt.Sprint(got["refresh_token"])
	s.tokens(resource, p)
}

// tokens uses what a flow gave: introspected, rotated, repeated, reused.
func (s *secretive) tokens(resource string, p servertest.Page) {
	s.t.Helper()
	k := s.know
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {k["refresh token "+resource]}, "resource": {resource}}
	for range 2 { // the second is inside the grace window: the sealed answer is opened again
		got := answerOf(s.t, post(s.t, s.Server, refresh, nil))
		k["next access token "+resource], k["next refresh token "+resource] = fmt.Sprint(got["access_token"]), fmt.Sprint(got["refresh_token"])
	}
	for _, token := range []string{k["next access token "+resource], k["next refresh token "+resource], k["guess"]} {
		s.form("/introspect", url.Values{"token": {token}}, basic("Example MCP server", k["resource secret"]))
		s.form("/introspect", url.Values{"token": {token}}, basic("Example MCP server", k["guess"]))
		s.form("/introspect", url.Values{"token": {token}}, basic(k["resource secret"], "Example MCP server"))
	}
	s.form("/token", s.Exchange(client, p, url.Values{"resource": {resource}}), nil) // a replay, which ends the grant
	s.Clock.Advance(time.Minute)
	s.form("/token", refresh, nil) // of a grant that ended
	s.form("/revoke", url.Values{"client_id": {client}, "token": {k["next refresh token "+resource]}}, nil)
	s.see(s.b.Get(s.Issuer + "/consent?ticket=" + url.QueryEscape(k["ticket of decision"])))
}

// misplace sends a secret in every place where it does not belong.
func (s *secretive) misplace(secret string) {
	s.t.Helper()
	esc := url.QueryEscape(secret)
	for _, id := range []string{secret, "https://" + esc + "@client.example.com/x", "https://client.example.com/#" + esc, "http://client.example.com/" + esc, "https://localhost/" + esc} {
		s.see(s.Browser().Authorize(s.Request(id, nil)))
		s.form("/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "code": {"wrong"}}, nil)
		s.form("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {"wrong"}}, nil)
		s.form("/revoke", url.Values{"token": {"wrong"}, "client_id": {id}}, nil)
	}
	for name, value := range map[string]string{
		"redirect_uri": secret, "response_type": secret, "response_mode": secret, "code_challenge": secret, "code_challenge_method": secret, "prompt": secret,
		"scope": `"` + secret, "request": secret, "request_uri": secret, "id_token_hint": secret, "login_hint": secret, secret: secret,
	} {
		s.see(s.Browser().Authorize(s.Request(client, url.Values{name: {value}})))
	}
	for _, uri := range []string{"https://" + esc + "@client.example.com/cb", "https://client.example.com/cb?token=" + esc, "https://client.example.com/cb#" + esc, "com.example:/cb?x=" + esc} {
		s.see(s.Browser().Authorize(s.Request(client, url.Values{"redirect_uri": {uri}})))
	}
	for _, uri := range []string{"https://" + esc + "@mcp.example.com", "https://mcp.example.com?token=" + esc, "https://mcp.example.com#" + esc, secret} {
		s.see(s.Browser().Authorize(s.Request(client, url.Values{"resource": {uri}})))
		s.form("/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {"wrong"}, "resource": {uri}}, nil)
	}
	for name, value := range map[string]string{
		"grant_type": secret, "client_assertion": secret, "client_assertion_type": secret, "code": secret, "code_verifier": secret, "redirect_uri": secret,
		"refresh_token": secret, "scope": `"` + secret, "token": secret, "username": secret, "password": secret, secret: secret,
	} {
		f := url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {"wrong"}, name: {value}}
		s.form("/token", f, nil)
		f.Set("grant_type", "refresh_token")
		s.form("/token", f, nil)
	}
	for _, h := range []http.Header{
		{"Authorization": {"Bearer " + secret}}, {"Authorization": {secret}}, basic(secret, ""), basic(client, secret), basic(secret, secret), {"Content-Type": {secret}},
		{"X-Request-Id": {secret}}, {"Traceparent": {"00-" + secret}}, {"Tracestate": {"a=" + secret}}, {"Baggage": {secret}}, {"Cookie": {"guestlist-session=" + secret}},
		{"Referer": {s.Issuer + "/?" + esc}}, {"Origin": {"https://" + esc}}, {"X-Unknown": {secret}}, {"Sec-Fetch-Site": {secret}}, {"X-Forwarded-For": {secret}},
	} {
		for _, path := range []string{"/token", "/revoke", "/introspect", "/signin", "/consent"} {
			s.form(path, url.Values{"grant_type": {"authorization_code"}, "token": {"wrong"}, "code": {"wrong"}}, h)
		}
	}
	for _, path := range []string{"/", "/help/", "/authorize/", "/signin?ticket=", "/consent?ticket=", "/jwks?", "/livez?"} {
		s.see(send(s.t, "GET", s.Issuer+path+esc, "", nil))
	}
	// A person who types the password where the name belongs sees it, and nobody else does.
	s.b.Submit(s.Browser().Authorize(s.Request(client, nil)), "password", url.Values{"username": {secret}, "password": {"wrong"}})
}

// documents publishes what must not be published.
func (s *secretive) documents() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "k"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	_, d, _ := strings.Cut(string(private), `"d":"`)
	s.know["private key of a document"], _, _ = strings.Cut(d, `"`)
	s.know["client_secret of a document"] = "canary-client-secret-in-a-document"
	for i, members := range []map[string]any{
		{"jwks": json.RawMessage(private), "token_endpoint_auth_method": "private_key_jwt"},
		{"client_secret": s.know["client_secret of a document"]},
		{"Client_Secret": s.know["client_secret of a document"]},
	} {
		id := fmt.Sprintf("%s/secret%d.json", docHost, i)
		s.Docs.Publish(id, members)
		if p := s.see(s.Browser().Authorize(s.Request(id, nil))); p.Status != http.StatusBadRequest {
			s.t.Errorf("document %d is taken: %d", i, p.Status)
		}
	}
}

// panics has every endpoint meet a store that panics with all secrets.
func (s *secretive) panics() {
	all := fmt.Sprint(s.know)
	for _, value := range []any{all, errors.New(all), struct{ All string }{all}, fmt.Errorf("wrapped: %w", &broker.Error{Reason: broker.ReasonServerTrouble, Err: errors.New(all)})} {
		s.store.with = atomic.Value{}
		s.store.with.Store(value)
		s.see(s.Browser().Authorize(s.Request(client, nil)))
		s.see(s.b.Get(s.Issuer + "/account"))
		s.form("/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {client}, "code": {"wrong"}, "code_verifier": {servertest.Verifier}}, nil)
		s.form("/revoke", url.Values{"token": {"wrong"}, "client_id": {client}}, nil)
		s.form("/introspect", url.Values{"token": {s.know["access token "+other]}}, basic("Other", "canary-other-secret-77aa01bc"))
	}
	s.store.with = atomic.Value{}
}

// TestSecretsCanary plays flows, good and bad, and looks for each secret of
// them, in every spelling, in the log, in every record, header and body, in
// spans, in the store's file and on pages and redirects that need it not.
func TestSecretsCanary(t *testing.T) {
	t.Parallel()
	s := newSecretive(t)
	s.flow(servertest.Resource)
	s.flow(other)
	s.documents()
	s.know["secret of nobody"] = "canary-Secret_of+nobody/0123456789=="
	for _, name := range []string{"password", "secret of nobody", "access token " + servertest.Resource, "refresh token " + other, "cookie guestlist-session"} {
		if s.know[name] == "" {
			t.Fatalf("there is no %s in %v", name, s.know)
		}
		s.misplace(s.know[name])
	}
	s.panics()
	for _, kind := range []string{"sealing", "pseudonym", "signing"} {
		s.keyFile(kind)
	}
	if len(s.know) < 24 {
		t.Fatalf("%d secrets, want all kinds: %v", len(s.know), s.know)
	}
	for name, secret := range s.know {
		if len(secret) < 16 || secret == "<nil>" {
			t.Fatalf("%s = %q is too short to look for", name, secret)
		}
	}
	s.look()
}

// privateMembers are those of a JWK that are nobody else's (RFC 7518 section 6).
var privateMembers = regexp.MustCompile(`"(?:d|k)":\s*"([^"]{40,})"`)

// keyFile takes a secret key of the key directory as a canary, where its
// purpose has a file.
func (s *secretive) keyFile(purpose string) {
	files, err := filepath.Glob(filepath.Join(s.Dir, "keys", "*"+purpose+"*"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no key file of %s: %v", purpose, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			s.t.Fatal(err)
		}
		found := privateMembers.FindAllStringSubmatch(string(b), -1)
		if len(found) == 0 {
			s.t.Errorf("%s has no private member", f)
		}
		for i, secret := range found {
			s.know[fmt.Sprintf("key %d of %s", i, filepath.Base(f))] = secret[1]
		}
	}
}

// look looks everywhere.
func (s *secretive) look() {
	t := s.t
	t.Helper()
	records := s.Records(store.RecordQuery{})
	kept, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	var sealed strings.Builder
	all, err := s.Store.Records(t.Context(), store.RecordQuery{})
	if err != nil {
		t.Fatal(err)
	}
	views := map[string]func(decisionlog.Sealed) ([]byte, error){}
	for _, name := range decisionlog.Views() {
		if views[name], err = decisionlog.View(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range all {
		sealed.Write(append(append([]byte{}, r.Header...), r.Body...))
		for _, view := range views {
			line, err := view(r)
			if err != nil {
				t.Fatal(err)
			}
			sealed.Write(line)
		}
	}
	if err := s.trace.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(filepath.Join(s.Dir, "guestlist.db"))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	spans := s.spans.String()
	s.mu.Unlock()
	for where, text := range map[string]string{"log": s.log.String(), "records": string(kept), "stored records": sealed.String(), "spans": spans, "store": string(file)} {
		if len(text) < 10_000 {
			t.Errorf("%s: %d bytes are too few to prove anything", where, len(text))
		}
		for _, found := range s.know.found(text) {
			t.Errorf("the %s: the %s", where, found)
		}
	}
	if n := strings.Count(s.log.String(), "\n"); n < len(s.pages) || !strings.Contains(s.log.String(), "server_trouble") {
		t.Errorf("%d log lines of %d requests, or no panic among them", n, len(s.pages))
	}
	s.lookAtPages()
}

// lookAtPages looks at what strangers see: a page has the csrf token and the
// ticket of its own form, and a redirect the state of its own request.
func (s *secretive) lookAtPages() {
	for _, p := range s.pages {
		seen := maps.Clone(s.know)
		for name := range s.know {
			if strings.HasPrefix(name, "csrf") || strings.HasPrefix(name, "ticket") || strings.HasPrefix(name, "cookie guestlist-browser") {
				delete(seen, name)
			}
		}
		for _, found := range seen.found(p.Body + p.Location) {
			s.t.Errorf("%.100s: the answer has the %s", p.URL, found)
		}
	}
}
