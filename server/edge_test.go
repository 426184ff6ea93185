package server_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// TestTrap13StrictParameters refuses what two parsers could read differently
// (X1). A repeated client_id or redirect_uri never redirects.
func TestTrap13StrictParameters(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	good := s.Request(client, nil).Encode()
	var many strings.Builder
	for i := range 65 - len(s.Request(client, nil)) {
		fmt.Fprintf(&many, "&p%d=1", i)
	}
	tests := []struct {
		name, query string
		ok          bool
	}{
		{"good", good, true},
		{"unknown parameter", good + "&login=x", true},
		{"empty pairs", "&&" + good + "&", true},
		{"client_id twice", good + "&client_id=" + url.QueryEscape(client), false},
		{"redirect_uri twice", good + "&redirect_uri=" + url.QueryEscape(redirectURI), false},
		{"state twice, once empty", good + "&state=", false},
		{"state twice, escaped name", good + "&st%61te=x", false},
		{"unknown parameter twice", good + "&x=1&x=2", false},
		{"resource twice", good + "&resource=" + url.QueryEscape(servertest.Resource), true},
		{"bad escape", good + "&x=%zz", false},
		{"bad escape in a name", good + "&%=1", false},
		{"NUL", good + "&x=a%00b", false},
		{"NUL in a name", good + "&a%00=b", false},
		{"invalid UTF-8", good + "&x=%ff%fe", false},
		{"65 parameters", good + many.String(), false},
		{"64 parameters", good + strings.TrimSuffix(many.String(), "&"+lastOf(many.String())), true},
		{"query of 17 KiB", good + "&x=" + strings.Repeat("a", 17<<10), false},
		{"value of 8 KiB and one", good + "&x=" + strings.Repeat("a", 8<<10+1), false},
		{"value of 8 KiB", good + "&x=" + strings.Repeat("a", 8<<10), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			get := send(t, "GET", s.Issuer+"/authorize?"+tt.query, "", nil)
			form := send(t, "POST", s.Issuer+"/authorize", tt.query, formHeader())
			if strings.HasPrefix(tt.name, "query of") {
				form = get // a body may be longer
			}
			for _, p := range []servertest.Page{get, form} {
				if !tt.ok {
					wantPage(t, s, p, http.StatusBadRequest, broker.ReasonRequestInvalid)
				} else if p.Status != http.StatusOK || !strings.Contains(p.Body, "signin-form") {
					t.Errorf("status %d, want the sign-in page\n%s", p.Status, brief(p))
				}
			}
		})
	}
}

// lastOf is the last pair of a query.
func lastOf(query string) string { return query[strings.LastIndex(query, "&")+1:] }

// TestTrap13QueryAndBody: a POST takes its parameters from the body alone.
func TestTrap13QueryAndBody(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	body := s.Request(client, nil)
	wantPage(t, s, send(t, "POST", s.Issuer+"/authorize?state=other", body.Encode(), formHeader()), http.StatusBadRequest, broker.ReasonRequestInvalid)
	form := s.Exchange(client, codePage(t, s, s.Browser(), nil), nil)
	p := send(t, "POST", s.Issuer+"/token?"+form.Encode(), "grant_type=authorization_code", formHeader())
	wantJSON(t, s, p, http.StatusUnauthorized, "invalid_client", broker.ReasonClientAuthFailed)
	form.Add("code_verifier", servertest.Verifier)
	wantJSON(t, s, post(t, s, form, nil), http.StatusBadRequest, "invalid_request", broker.ReasonRequestInvalid)
}

// TestForms refuses bodies that are no small forms.
func TestForms(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, path := range []string{"/authorize", "/signin", "/consent", "/account", "/signout", "/token"} {
		for _, tt := range []struct {
			name, body, ct string
			status         int
		}{
			{"JSON", "{}", "application/json", http.StatusUnsupportedMediaType},
			{"multipart", "", "multipart/form-data; boundary=x", http.StatusUnsupportedMediaType},
			{"no content type", "a=b", "", http.StatusUnsupportedMediaType},
			{"oversized", "a=" + strings.Repeat("b", 64<<10), "application/x-www-form-urlencoded", http.StatusRequestEntityTooLarge},
		} {
			t.Run(path+" "+tt.name, func(t *testing.T) {
				p := send(t, "POST", s.Issuer+path, tt.body, http.Header{"Content-Type": {tt.ct}})
				if path == "/token" {
					wantJSON(t, s, p, tt.status, "invalid_request", broker.ReasonRequestInvalid)
				} else {
					wantPage(t, s, p, tt.status, broker.ReasonRequestInvalid)
				}
			})
		}
	}
}

// TestTrapF14ChunkedBodies: a body without a length is refused once, and the
// connection is closed.
func TestTrapF14ChunkedBodies(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, path := range []string{"/authorize", "/signin", "/consent", "/account", "/signout", "/token"} {
		for name, head := range map[string]string{
			"chunked":                  "Transfer-Encoding: chunked\r\n",
			"chunked beside a length":  "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
			"length written two times": "Content-Length: 4\r\nContent-Length: 5\r\n",
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				host := strings.TrimPrefix(s.Issuer, "http://")
				conn, err := net.Dial("tcp", host)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute)) // an open connection is a failure, not a wait
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n%s\r\n3\r\na=b\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", path, host, head, host)
				in := bufio.NewReader(conn)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				if resp.StatusCode != http.StatusLengthRequired && resp.StatusCode != http.StatusBadRequest || !resp.Close {
					t.Errorf("status %d, close %v, want 411 or 400 and the connection closed", resp.StatusCode, resp.Close)
				}
				if rest, err := io.ReadAll(in); len(rest) != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("after the answer: %q, %v, want the connection closed", rest, err)
				}
			})
		}
	}
}

// TestMethods: each endpoint takes its own and says which.
func TestMethods(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for path, allow := range map[string]string{
		"/authorize": "GET, POST", "/signin": "GET, POST", "/signout": "POST", "/consent": "GET, POST", "/token": "POST, OPTIONS",
		"/jwks": "GET, OPTIONS", "/livez": "GET", "/readyz": "GET", "/.well-known/oauth-authorization-server": "GET, OPTIONS",
		"/help/request_invalid": "GET", "/nowhere": "GET, POST",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
			p := send(t, method, s.Issuer+path, "", formHeader())
			refused := !strings.Contains(allow, method) && (method != "HEAD" || !strings.Contains(allow, "GET"))
			if refused != (p.Status == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: status %d, allowed are %s", method, path, p.Status, allow)
			}
			if refused && p.Header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow = %q, want %q", method, path, p.Header.Get("Allow"), allow)
			}
			if p.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s %s: no X-Request-Id", method, path)
			}
			if method == "HEAD" && p.Body != "" {
				t.Errorf("HEAD %s: body %q", path, p.Body)
			}
		}
	}
	wantJSON(t, s, send(t, "GET", s.Issuer+"/token", "", nil), http.StatusMethodNotAllowed, "invalid_request", broker.ReasonRequestInvalid)
}

// TestHead: HEAD gets what GET gets, without the body.
func TestHead(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, path := range []string{"/authorize?" + s.Request(client, nil).Encode(), "/authorize", "/jwks", "/nowhere"} {
		get, head := send(t, "GET", s.Issuer+path, "", nil), send(t, "HEAD", s.Issuer+path, "", nil)
		if head.Status != get.Status || head.Body != "" || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: status %d, body %q, want status %d and none", path, head.Status, head.Body, get.Status)
		}
	}
}

// TestNotFound: other paths get a page, whatever they look like.
func TestNotFound(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, path := range []string{"/", "/nowhere", "//authorize", "/authorize/", "/./token", "/help/nonsense", "/help/..%2f..%2fetc", "/AUTHORIZE", "/token%00", "/metrics", "/.well-known/oauth-authorization-server/x"} {
		p := send(t, "GET", s.Issuer+path, "", nil)
		if p.Status != http.StatusNotFound || mark(p, "request-id") != p.Header.Get("X-Request-Id") || p.Location != "" {
			t.Errorf("GET %s: status %d, location %q, want a page with 404\n%s", path, p.Status, p.Location, brief(p))
		}
	}
}

// TestHelp: every public reason has its page (design §8).
func TestHelp(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, d := range broker.Reasons() {
		if p := send(t, "GET", s.Issuer+"/help/"+string(d.Public), "", nil); p.Status != http.StatusOK || strings.Contains(p.Body, string(d.Reason)) && string(d.Reason) != string(d.Public) {
			t.Errorf("help of %s: status %d\n%s", d.Public, p.Status, brief(p))
		}
	}
}

// TestMisdirected: a development server answers its own Host alone, and
// nothing that was forwarded (design §12).
func TestMisdirected(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for name, h := range map[string]http.Header{
		"other host":        {"Host": {"evil.example"}},
		"other port":        {"Host": {"127.0.0.1:1"}},
		"Forwarded":         {"Forwarded": {"for=192.0.2.1"}},
		"X-Forwarded-For":   {"X-Forwarded-For": {"192.0.2.1"}},
		"X-Forwarded-Host":  {"X-Forwarded-Host": {"evil.example"}},
		"X-Forwarded-Proto": {"X-Forwarded-Proto": {"https"}},
		"X-Real-Ip":         {"X-Real-Ip": {"192.0.2.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := s.Docs.Total()
			wantPage(t, s, send(t, "GET", s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), "", h), http.StatusMisdirectedRequest, broker.ReasonRequestInvalid)
			if n := s.Docs.Total() - before; n != 0 {
				t.Errorf("%d fetches, want none", n)
			}
			if p := send(t, "GET", s.Issuer+"/.well-known/oauth-authorization-server", "", h); p.Status != http.StatusMisdirectedRequest {
				t.Errorf("metadata: status %d, want 421", p.Status)
			}
		})
	}
}

// panicking is a store that panics when it is asked.
type panicking struct {
	store.Store
	on atomic.Bool
}

// Begin implements store.Store.
func (p *panicking) Begin() store.Unit {
	if p.on.Load() {
		panic("secret-canary in a panic")
	}
	return p.Store.Begin()
}

// TestPanic: a panic is an answer with an id and a log line, and the process
// goes on.
func TestPanic(t *testing.T) {
	t.Parallel()
	var broken *panicking
	log := &servertest.Buffer{}
	s := start(t, servertest.Options{Log: log, Wrap: func(st store.Store) store.Store {
		broken = &panicking{Store: st}
		return broken
	}})
	broken.on.Store(true)
	p := s.Browser().Authorize(s.Request(client, nil))
	broken.on.Store(false)
	wantPage(t, s, p, http.StatusInternalServerError, broker.ReasonServerTrouble)
	if strings.Contains(log.String(), "secret-canary") || !strings.Contains(log.String(), p.Header.Get("X-Request-Id")) {
		t.Errorf("log = %s", log)
	}
	if p := s.Browser().Authorize(s.Request(client, nil)); p.Status != http.StatusOK {
		t.Errorf("the next request: status %d", p.Status)
	}
}

// TestWideEvent: one line per request, whatever comes of it.
func TestWideEvent(t *testing.T) {
	t.Parallel()
	log := &servertest.Buffer{}
	s := start(t, servertest.Options{Log: log})
	want := map[string]string{}
	for _, r := range []struct{ method, path, route string }{
		{"GET", "/authorize?" + s.Request(client, nil).Encode(), "/authorize"},
		{"GET", "/authorize", "/authorize"}, {"GET", "/nowhere?x=1", "none"}, {"POST", "/token", "/token"}, {"PUT", "/consent", "/consent"},
		{"GET", "/livez", "/livez"}, {"HEAD", "/jwks", "/jwks"}, {"GET", "/help/try_later", "/help/{reason}"},
		{"GET", "/.well-known/openid-configuration", "/.well-known/openid-configuration"},
	} {
		p := send(t, r.method, s.Issuer+r.path, "", nil)
		want[p.Header.Get("X-Request-Id")] = fmt.Sprintf("%s %s %d", r.method, r.route, p.Status)
	}
	s.Stop()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != len(want) {
		t.Errorf("%d lines for %d requests:\n%s", len(lines), len(want), log)
	}
	for _, line := range lines {
		var e struct {
			Event, Method, Route, Reason, Level string
			ID                                  string `json:"request_id"`
			Status                              int
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got := fmt.Sprintf("%s %s %d", e.Method, e.Route, e.Status); e.Event != "http.request" || got != want[e.ID] {
			t.Errorf("line %s\nwant %s", line, want[e.ID])
		}
		if (e.Status >= 400) != (e.Reason != "") && e.Route != "none" {
			t.Errorf("line %s: a reason belongs to a refusal", line)
		}
		if strings.Contains(line, "x=1") || strings.Contains(line, "state-1") {
			t.Errorf("line %s carries a query", line)
		}
	}
}
