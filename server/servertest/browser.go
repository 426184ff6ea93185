package servertest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Verifier and Challenge are a PKCE pair.
var (
	Verifier  = strings.Repeat("v", 43)
	Challenge = func() string {
		sum := sha256.Sum256([]byte(Verifier))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}()
)

// Browser is a person's browser with a cookie jar. It follows redirects of
// the server and stops at those that leave it.
type Browser struct {
	t      testing.TB
	server *Server
	client *http.Client
}

// Page is one answer as a browser sees it.
type Page struct {
	Status   int
	Header   http.Header
	Body     string
	Location string // a redirect that leaves the server; empty: none
	URL      string
}

// Client returns a client of this server's own: the connections of the default
// one are closed whenever the server of another test ends.
func (s *Server) Client() *http.Client { return s.web.Client() }

// Browser returns a new browser.
func (s *Server) Browser() *Browser {
	jar, err := cookiejar.New(nil)
	check(s.t, err)
	return &Browser{t: s.t, server: s, client: &http.Client{
		Jar:       jar,
		Transport: s.Client().Transport,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if !strings.HasPrefix(r.URL.String(), s.Issuer) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
}

// do sends a request and reads the answer.
func (b *Browser) do(r *http.Request) Page {
	b.t.Helper()
	resp, err := b.client.Do(r)
	check(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(b.t, err)
	return Page{Status: resp.StatusCode, Header: resp.Header, Body: string(body), Location: resp.Header.Get("Location"), URL: resp.Request.URL.String()}
}

// Get opens a URL.
func (b *Browser) Get(u string) Page {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, u, nil)
	check(b.t, err)
	return b.do(r)
}

// Follow opens a URL the way another site sends a browser to it.
func (b *Browser) Follow(u string) Page {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, u, nil)
	check(b.t, err)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Referer", "https://evil.example/")
	return b.do(r)
}

// Post sends a form.
func (b *Browser) Post(u string, form url.Values) Page {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPost, u, strings.NewReader(form.Encode()))
	check(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

// Request is an authorization request of a client that does all right;
// changes replace or, with nil, remove parameters.
func (s *Server) Request(clientID string, changes url.Values) url.Values {
	q := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {"http://127.0.0.1:51234/callback"},
		"scope": {"mcp:read"}, "state": {"state-1"}, "resource": {Resource},
		"code_challenge": {Challenge}, "code_challenge_method": {"S256"},
	}
	for k, v := range changes {
		if v == nil {
			q.Del(k)
			continue
		}
		q[k] = v
	}
	return q
}

// Authorize opens the authorization endpoint.
func (b *Browser) Authorize(q url.Values) Page {
	b.t.Helper()
	return b.Get(b.server.Issuer + "/authorize?" + q.Encode())
}

// Form returns action and fields of the form that has the named element;
// ticked boxes are included, buttons are not.
func (p Page) Form(element string) (action string, fields url.Values, ok bool) {
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return "", nil, false
	}
	for form := range root.Descendants() {
		if form.Type != html.ElementNode || form.Data != "form" {
			continue
		}
		fields := url.Values{}
		found := false
		for n := range form.Descendants() {
			if n.Type != html.ElementNode || (n.Data != "input" && n.Data != "button") {
				continue
			}
			name := attribute(n, "name")
			found = found || name == element
			if n.Data == "input" && name != "" && (attribute(n, "type") != "checkbox" || has(n, "checked")) {
				fields.Add(name, attribute(n, "value"))
			}
		}
		if found {
			return attribute(form, "action"), fields, true
		}
	}
	return "", nil, false
}

// attribute returns an attribute's value.
func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// has reports whether an attribute is there.
func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// Submit fills the form that has the named element and sends it.
func (b *Browser) Submit(p Page, element string, values url.Values) Page {
	b.t.Helper()
	action, fields, ok := p.Form(element)
	if !ok {
		b.t.Fatalf("page %s (status %d) has no form with %q:\n%s", p.URL, p.Status, element, p.Body)
	}
	for k, v := range values {
		fields[k] = v
	}
	base, err := url.Parse(p.URL)
	check(b.t, err)
	to, err := base.Parse(action)
	check(b.t, err)
	return b.Post(to.String(), fields)
}

// SignIn signs a person in on a sign-in page.
func (b *Browser) SignIn(p Page, username string) Page {
	b.t.Helper()
	return b.Submit(p, "password", url.Values{"username": {username}, "password": {Password}})
}

// Play goes through sign-in and consent as the person and returns where the
// browser is sent; pages that end the flow are returned as they are.
func (b *Browser) Play(q url.Values) Page {
	b.t.Helper()
	p := b.Authorize(q)
	if _, _, ok := p.Form("password"); ok {
		p = b.SignIn(p, Person)
	}
	if _, _, ok := p.Form("decision"); ok {
		p = b.Submit(p, "decision", url.Values{"decision": {"allow"}})
	}
	return p
}

// Param returns a parameter of the redirect that a page is.
func (p Page) Param(name string) string {
	u, err := url.Parse(p.Location)
	if err != nil {
		return ""
	}
	return u.Query().Get(name)
}

// Token sends a token request and decodes the answer.
func (s *Server) Token(form url.Values) (status int, answer map[string]any, header http.Header) {
	s.t.Helper()
	resp, err := s.Client().Post(s.Issuer+"/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	check(s.t, err)
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		s.t.Fatalf("token answer: %v", err)
	}
	return resp.StatusCode, answer, resp.Header
}

// Exchange is the token request for the code of a page; changes replace or,
// with nil, remove parameters.
func (s *Server) Exchange(clientID string, p Page, changes url.Values) url.Values {
	f := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {p.Param("code")},
		"redirect_uri": {"http://127.0.0.1:51234/callback"}, "code_verifier": {Verifier}, "resource": {Resource},
	}
	for k, v := range changes {
		if v == nil {
			f.Del(k)
			continue
		}
		f[k] = v
	}
	return f
}

// Claims decodes the payload of a JWT without checking it.
func Claims(t testing.TB, token any) map[string]any {
	t.Helper()
	parts := strings.Split(fmt.Sprint(token), ".")
	if len(parts) != 3 {
		t.Fatalf("token %v is no JWT", token)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	check(t, err)
	var out map[string]any
	check(t, json.Unmarshal(b, &out))
	return out
}

// Cookies is the Cookie header that the browser sends to the server.
func (b *Browser) Cookies() string {
	b.t.Helper()
	u, err := url.Parse(b.server.Issuer)
	check(b.t, err)
	var out []string
	for _, c := range b.client.Jar.Cookies(u) {
		out = append(out, c.Name+"="+c.Value)
	}
	return strings.Join(out, "; ")
}
