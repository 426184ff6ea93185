package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/servertest"
	"guestlist/store"
)

// redirectURI is where the requests of servertest want to go.
const redirectURI = "http://127.0.0.1:51234/callback"

// base admits every client of the document host on easy terms.
const base = `package admission.policies.clients

client_ids := {"https://client.example.com/**"}

settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"redirect": {"relation": "cross_site", "loopback": true, "private_scheme": true},
}
`

// policy is base with further rules.
func policy(rules ...string) map[string]string {
	return map[string]string{"clients.rego": base + strings.Join(rules, "\n")}
}

// activate makes files the active policies.
func activate(t *testing.T, s *servertest.Server, files map[string]string) {
	t.Helper()
	if err := s.Activate(files); err != nil {
		t.Fatalf("activate: %v", err)
	}
}

// start is a server with base policies and the client's document.
func start(t *testing.T, o servertest.Options) *servertest.Server {
	t.Helper()
	if o.Policy == nil {
		o.Policy = policy()
	}
	s := servertest.New(t, o)
	s.Docs.Publish(client, nil)
	return s
}

// mark returns the text of the element with that data-guestlist attribute.
func mark(p servertest.Page, name string) string {
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return ""
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool {
			return a.Key == "data-guestlist" && a.Val == name
		}) {
			return text(n)
		}
	}
	return ""
}

// text is what a reader sees of n.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// brief is a page without its head, for messages.
func brief(p servertest.Page) string {
	_, body, found := strings.Cut(p.Body, "<body>")
	if !found {
		return p.Body
	}
	return body
}

// send does one request without cookies and without following redirects.
func send(t *testing.T, method, to, body string, header http.Header) servertest.Page {
	t.Helper()
	r, err := http.NewRequest(method, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	// Not the default one: the server of any other test closes its connections.
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Page{Status: resp.StatusCode, Header: resp.Header, Body: string(b), Location: resp.Header.Get("Location"), URL: to}
}

// formHeader is the header of a form.
func formHeader() http.Header {
	return http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
}

// post sends a form to the token endpoint.
func post(t *testing.T, s *servertest.Server, form url.Values, header http.Header) servertest.Page {
	t.Helper()
	h := formHeader()
	for k, v := range header {
		h[k] = v
	}
	return send(t, http.MethodPost, s.Issuer+"/token", form.Encode(), h)
}

// answerOf decodes a JSON answer.
func answerOf(t *testing.T, p servertest.Page) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(p.Body), &out); err != nil {
		t.Fatalf("%s: status %d, not JSON: %v\n%s", p.URL, p.Status, err, p.Body)
	}
	return out
}

// wantRecord checks that exactly one record of the request refuses, for that
// reason, and that none of them lets anybody in.
func wantRecord(t *testing.T, s *servertest.Server, p servertest.Page, reason broker.Reason) {
	t.Helper()
	id := p.Header.Get("X-Request-Id")
	if len(id) != 32 {
		t.Errorf("X-Request-Id = %q, want 32 characters", id)
	}
	var refused []string
	for _, r := range s.Records(store.RecordQuery{RequestID: id}) {
		switch r.Outcome {
		case decisionlog.OutcomeRefused:
			refused = append(refused, r.Reason)
			if r.PublicReason != string(reason.Public()) {
				t.Errorf("record %s: public reason %q, want %q", r.Event, r.PublicReason, reason.Public())
			}
		case decisionlog.OutcomeIssued, decisionlog.OutcomeGranted, decisionlog.OutcomeAdmitted:
			t.Errorf("record %s: outcome %s on a refused request", r.Event, r.Outcome)
		}
	}
	if !slices.Equal(refused, []string{string(reason)}) {
		t.Errorf("refusals of request %s = %q, want exactly %q", id, refused, reason)
	}
}

// wantPage checks a refusal that stays on this server.
func wantPage(t *testing.T, s *servertest.Server, p servertest.Page, status int, reason broker.Reason) {
	t.Helper()
	if p.Status != status || p.Location != "" {
		t.Errorf("status %d, location %q, want a page with status %d\n%s", p.Status, p.Location, status, brief(p))
	}
	for k, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
		if got := p.Header.Get(k); got != want {
			t.Errorf("%s = %q, want %q", k, got, want)
		}
	}
	if got := mark(p, "reason"); got != string(reason.Public()) {
		t.Errorf("public reason = %q, want %q", got, reason.Public())
	}
	if got := mark(p, "request-id"); got == "" || got != p.Header.Get("X-Request-Id") {
		t.Errorf("request id on the page = %q, in the header %q", got, p.Header.Get("X-Request-Id"))
	}
	if strings.Contains(p.Body, string(reason)) && string(reason) != string(reason.Public()) {
		t.Errorf("the page tells the true reason %s", reason)
	}
	wantRecord(t, s, p, reason)
}

// wantRedirect checks a refusal that is told to the client.
func wantRedirect(t *testing.T, s *servertest.Server, p servertest.Page, code string, reason broker.Reason) {
	t.Helper()
	if p.Status != http.StatusFound && p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Location, redirectURI+"?") {
		t.Fatalf("status %d, location %q, want a redirect to the client\n%s", p.Status, p.Location, brief(p))
	}
	q := queryOf(t, p.Location)
	want := url.Values{"error": {code}, "state": {"state-1"}, "iss": {s.Issuer}, "error_uri": {s.Issuer + "/help/" + string(reason.Public())}}
	for k, v := range want {
		if !slices.Equal(q[k], v) {
			t.Errorf("redirect parameter %s = %q, want %q", k, q[k], v)
		}
	}
	if id := p.Header.Get("X-Request-Id"); !strings.Contains(q.Get("error_description"), id) {
		t.Errorf("error_description = %q, want the request id %s in it", q.Get("error_description"), id)
	}
	if q.Has("code") {
		t.Error("a refusal carries a code")
	}
	wantRecord(t, s, p, reason)
}

// wantJSON checks a refusal of the token endpoint.
func wantJSON(t *testing.T, s *servertest.Server, p servertest.Page, status int, code string, reason broker.Reason) {
	t.Helper()
	if p.Status != status {
		t.Errorf("status %d, want %d\n%s", p.Status, status, p.Body)
	}
	a := answerOf(t, p)
	if a["error"] != code {
		t.Errorf("error = %v, want %s", a["error"], code)
	}
	id := p.Header.Get("X-Request-Id")
	if a["request_id"] != id || !strings.Contains(a["error_description"].(string), id) {
		t.Errorf("request id: header %q, member %v, description %v", id, a["request_id"], a["error_description"])
	}
	if want := s.Issuer + "/help/" + string(reason.Public()); a["error_uri"] != want {
		t.Errorf("error_uri = %v, want %s", a["error_uri"], want)
	}
	wantHeaders(t, p)
	if a["access_token"] != nil {
		t.Error("a refusal carries a token")
	}
	wantRecord(t, s, p, reason)
}

// wantHeaders checks the headers of every token answer (X24).
func wantHeaders(t *testing.T, p servertest.Page) {
	t.Helper()
	for k, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff",
	} {
		if got := p.Header.Get(k); got != want {
			t.Errorf("%s = %q, want %q", k, got, want)
		}
	}
}

// queryOf returns the parameters of a redirect.
func queryOf(t *testing.T, location string) url.Values {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// wantNobody checks that no client is stored.
func wantNobody(t *testing.T, s *servertest.Server) {
	t.Helper()
	rows, err := s.Store.Clients(t.Context(), store.ClientQuery{})
	if err != nil || len(rows) != 0 {
		t.Errorf("clients = %d rows, %v, want none", len(rows), err)
	}
}

// codePage plays a flow to its code.
func codePage(t *testing.T, s *servertest.Server, b *servertest.Browser, changes url.Values) servertest.Page {
	t.Helper()
	p := b.Play(s.Request(client, changes))
	if p.Param("code") == "" {
		t.Fatalf("no code: status %d, location %q\n%s", p.Status, p.Location, brief(p))
	}
	return p
}

// grantOf returns the grant that the records of a request name.
func grantOf(t *testing.T, s *servertest.Server, requestID string) store.Grant {
	t.Helper()
	for _, r := range s.Records(store.RecordQuery{RequestID: requestID}) {
		if r.GrantID != "" {
			g, found, err := s.Store.Begin().Grant(t.Context(), r.GrantID)
			if err != nil || !found {
				t.Fatalf("grant %s: found=%v err=%v", r.GrantID, found, err)
			}
			return g
		}
	}
	t.Fatalf("no record of request %s names a grant", requestID)
	return store.Grant{}
}
