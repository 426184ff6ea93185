package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/server"
	"guestlist/server/grants"
	"guestlist/server/pages"
	"guestlist/server/servertest"
	"guestlist/server/signin"
	"guestlist/store"
)

// production is a second server over the parts of s that is not for
// development: its issuer is https, and it trusts the networks.
func production(t *testing.T, s *servertest.Server, issuer string, log *servertest.Buffer, trusted ...string) *server.Server {
	t.Helper()
	cfg := productionConfig(t, s, issuer)
	cfg.Log = zerolog.New(log)
	for _, p := range trusted {
		cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix(p))
	}
	h, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// productionConfig is what production gives to server.New.
func productionConfig(t *testing.T, s *servertest.Server, issuer string) server.Config {
	t.Helper()
	people, err := signin.Open(signin.Config{File: filepath.Join(s.Dir, "people.yaml"), Now: s.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	engine, err := grants.New(grants.Config{Issuer: issuer, Signer: s.Keys, Now: s.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	look, err := pages.New(pages.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return server.Config{
		Issuer: issuer, Store: s.Store, Broker: s.Broker, Grants: engine, Keys: s.Keys, Pages: look, People: people, Batch: s.Batch,
		Resources: []broker.Resource{{ID: servertest.Resource, Scopes: []string{"mcp:read"}}}, Log: zerolog.Nop(), Now: s.Clock.Now,
	}
}

// arrive is one request as it comes from a peer.
func arrive(h http.Handler, peer, method, to, body string, header http.Header) servertest.Page {
	r := httptest.NewRequest(method, to, strings.NewReader(body))
	r.RemoteAddr = peer
	for k, v := range header {
		r.Header[k] = v
	}
	if host := header.Get("Host"); host != "" {
		r.Host = host
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return servertest.Page{Status: w.Code, Header: w.Header(), Body: w.Body.String(), Location: w.Header().Get("Location"), URL: to}
}

const proxied = "https://auth.example.com"

// TestSource: the rightmost untrusted hop is the source (design §10), and
// only a trusted peer is asked who that was.
func TestSource(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	log := &servertest.Buffer{}
	trusting := production(t, s, proxied, log, "10.0.0.0/8", "192.0.2.7/32", "fd00::/8")
	alone := production(t, s, proxied, log)
	many := func(hop string) string { return strings.Repeat(hop+", ", 999) + hop }
	for _, tt := range []struct {
		name, peer string
		lines      []string // X-Forwarded-For
		want       string
	}{
		{"no header", "10.1.1.1:9", nil, "10.1.1.1"},
		{"one hop", "10.1.1.1:9", []string{"203.0.113.5"}, "203.0.113.5"},
		{"peer not trusted", "198.51.100.1:9", []string{"203.0.113.5"}, "198.51.100.1"},
		{"peer not trusted, names a proxy", "198.51.100.1:9", []string{"203.0.113.5, 10.1.1.1"}, "198.51.100.1"},
		{"peer in the next network", "11.0.0.1:9", []string{"203.0.113.5"}, "11.0.0.1"},
		{"peer as one address", "192.0.2.7:9", []string{"203.0.113.5"}, "203.0.113.5"},
		{"peer beside one address", "192.0.2.8:9", []string{"203.0.113.5"}, "192.0.2.8"},
		{"peer IPv6", "[fd00::1]:9", []string{"2001:db8::5"}, "2001:db8::5"},
		{"peer IPv6 with a zone", "[fd00::1%eth0]:9", []string{"2001:db8::5"}, "2001:db8::5"},
		{"peer IPv4 written as IPv6", "[::ffff:10.1.1.1]:9", []string{"203.0.113.5"}, "203.0.113.5"},
		{"no peer", "@", []string{"203.0.113.5"}, "invalid IP"},
		{"two proxies", "10.1.1.1:9", []string{"203.0.113.5, 10.2.2.2"}, "203.0.113.5"},
		{"forged on the left", "10.1.1.1:9", []string{"10.9.9.9, 203.0.113.66, 203.0.113.5, 10.2.2.2"}, "203.0.113.5"},
		{"forged line before", "10.1.1.1:9", []string{"203.0.113.66", "203.0.113.5"}, "203.0.113.5"},
		{"many lines", "10.1.1.1:9", []string{"203.0.113.66", "203.0.113.5,10.3.3.3", "10.2.2.2"}, "203.0.113.5"},
		{"all trusted", "10.1.1.1:9", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"},
		{"hop IPv4 written as IPv6", "10.1.1.1:9", []string{"203.0.113.5, ::ffff:10.2.2.2"}, "203.0.113.5"},
		{"spaces and tabs", "10.1.1.1:9", []string{"  203.0.113.5\t ,\t10.2.2.2  "}, "203.0.113.5"},
		{"no spaces", "10.1.1.1:9", []string{"203.0.113.5,10.2.2.2"}, "203.0.113.5"},
		{"IPv4 with a port", "10.1.1.1:9", []string{"203.0.113.5:4711"}, "203.0.113.5"},
		{"IPv6 with a port", "10.1.1.1:9", []string{"[2001:db8::5]:4711"}, "2001:db8::5"},
		{"IPv6 in brackets", "10.1.1.1:9", []string{"[2001:db8::5]"}, "2001:db8::5"},
		{"IPv6 with a zone", "10.1.1.1:9", []string{"fe80::5%eth0"}, "fe80::5"},
		{"IPv6 with brackets and a zone", "10.1.1.1:9", []string{"[fe80::5%eth0]:1"}, "fe80::5"},
		{"trusted hop with a port", "10.1.1.1:9", []string{"203.0.113.5, 10.2.2.2:80, [fd00::2]:80"}, "203.0.113.5"},
		{"1,000 hops", "10.1.1.1:9", []string{many("203.0.113.5")}, "203.0.113.5"},
		{"1,000 trusted hops", "10.1.1.1:9", []string{"203.0.113.5", many("10.2.2.2")}, "203.0.113.5"},
		{"malformed", "10.1.1.1:9", []string{"unknown"}, "10.1.1.1"},
		{"malformed behind a proxy", "10.1.1.1:9", []string{"203.0.113.5, unknown, 10.2.2.2"}, "10.2.2.2"},
		{"malformed left of the source", "10.1.1.1:9", []string{"unknown, 203.0.113.5"}, "203.0.113.5"},
		{"empty", "10.1.1.1:9", []string{""}, "10.1.1.1"},
		{"empty hop", "10.1.1.1:9", []string{"203.0.113.5, , 10.2.2.2"}, "10.2.2.2"},
		{"empty last line", "10.1.1.1:9", []string{"203.0.113.5", ""}, "10.1.1.1"},
		{"leading zero", "10.1.1.1:9", []string{"203.0.113.05"}, "10.1.1.1"},
		{"bad port", "10.1.1.1:9", []string{"203.0.113.5:http"}, "10.1.1.1"},
		{"half a bracket", "10.1.1.1:9", []string{"203.0.113.5]"}, "10.1.1.1"},
		{"IPv4 in brackets", "10.1.1.1:9", []string{"[203.0.113.5]"}, "10.1.1.1"},
		{"host name", "10.1.1.1:9", []string{"localhost"}, "10.1.1.1"},
		{"Forwarded's form", "10.1.1.1:9", []string{"for=203.0.113.5"}, "10.1.1.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for h, want := range map[*server.Server]string{trusting: tt.want, alone: directly(tt.peer)} {
				p := arrive(h, tt.peer, "GET", proxied+"/authorize", "", http.Header{
					"X-Forwarded-For": tt.lines, "Forwarded": {"for=203.0.113.99"}, "X-Real-Ip": {"203.0.113.99"},
				})
				id := p.Header.Get("X-Request-Id")
				rec := s.Records(store.RecordQuery{RequestID: id})
				if len(rec) != 1 || rec[0].Source != want {
					t.Errorf("source of %q from %s in %d records = %q, want %q", tt.lines, tt.peer, len(rec), rec[0].Source, want)
				}
				_, event, _ := strings.Cut(log.String(), id)
				event, _, _ = strings.Cut(event, "\n")
				if !strings.Contains(event, fmt.Sprintf(`"source":%q`, want)) {
					t.Errorf("wide event of %s = …%s, want source %q", id, event, want)
				}
			}
		})
	}
}

// directly is the source of a peer when nobody is trusted.
func directly(peer string) string {
	ap, err := netip.ParseAddrPort(peer)
	if err != nil {
		return "invalid IP"
	}
	return ap.Addr().Unmap().WithZone("").String()
}

// TestSignInThrottledBySource: guesses through a proxy spend the budget of
// whoever makes them, not the proxy's, and not one of their own choice.
func TestSignInThrottledBySource(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	h := production(t, s, proxied, &servertest.Buffer{}, "10.0.0.0/8")
	guess := func(n int, forwardedFor string) servertest.Page {
		form := arrive(h, "10.1.1.1:9", "GET", proxied+"/signin", "", nil)
		_, fields, ok := form.Form("password")
		if !ok {
			t.Fatalf("no sign-in form: status %d\n%s", form.Status, brief(form))
		}
		fields.Set("username", fmt.Sprint("nobody-", n))
		fields.Set("password", "wrong")
		header := formHeader()
		header.Set("X-Forwarded-For", forwardedFor)
		header.Set("Cookie", strings.Split(form.Header.Get("Set-Cookie"), ";")[0])
		return arrive(h, "10.1.1.1:9", "POST", proxied+"/signin", fields.Encode(), header)
	}
	throttled := -1
	for n := range 200 {
		// Another address on the left each time, and another of the same /64.
		p := guess(n, fmt.Sprintf("203.0.113.%d, 2001:db8::%x", n, n+1))
		if p.Status == http.StatusTooManyRequests {
			throttled = n
			rec := s.Records(store.RecordQuery{RequestID: p.Header.Get("X-Request-Id")})
			if want := fmt.Sprintf("2001:db8::%x", n+1); len(rec) != 1 || rec[0].Source != want || rec[0].Reason != string(broker.ReasonSignInThrottled) {
				t.Errorf("records = %+v, want one of source %s", rec, want)
			}
			break
		}
		if p.Status != http.StatusUnauthorized {
			t.Fatalf("guess %d: status %d, want 401", n, p.Status)
		}
	}
	if throttled < 1 {
		t.Fatalf("throttled at guess %d, want a later one, and one", throttled)
	}
	if p := guess(1000, "2001:db8:0:1::1"); p.Status != http.StatusUnauthorized {
		t.Errorf("another network: status %d, want 401", p.Status)
	}
}

// TestHost: a production server answers for its issuer's host alone, but for
// proxies it trusts and for probes; and no header changes who it is.
func TestHost(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, tt := range []struct {
		name, issuer, host, peer, path string
		ok                             bool
	}{
		{"own", proxied, "auth.example.com", "198.51.100.1:9", "/jwks", true},
		{"own in capitals", proxied, "AUTH.example.com", "198.51.100.1:9", "/jwks", true},
		{"own with the usual port", proxied, "auth.example.com:443", "198.51.100.1:9", "/jwks", true},
		{"own with another port", proxied, "auth.example.com:8443", "198.51.100.1:9", "/jwks", false},
		{"issuer with a port", proxied + ":8443", "auth.example.com:8443", "198.51.100.1:9", "/jwks", true},
		{"issuer with a port, left out", proxied + ":8443", "auth.example.com", "198.51.100.1:9", "/jwks", false},
		{"issuer is IPv6", "https://[2001:db8::1]", "[2001:db8::1]:443", "198.51.100.1:9", "/jwks", true},
		{"other", proxied, "evil.example", "198.51.100.1:9", "/jwks", false},
		{"other, page", proxied, "evil.example", "198.51.100.1:9", "/signin", false},
		{"other, unknown path", proxied, "evil.example", "198.51.100.1:9", "/nowhere", false},
		{"dot at the end", proxied, "auth.example.com.", "198.51.100.1:9", "/jwks", false},
		{"below", proxied, "x.auth.example.com", "198.51.100.1:9", "/jwks", false},
		{"rewritten by a proxy", proxied, "127.0.0.1:8080", "10.1.1.1:9", "/jwks", true},
		{"probe of life", proxied, "10.9.9.9:8080", "198.51.100.1:9", "/livez", true},
		{"probe of readiness", proxied, "10.9.9.9:8080", "198.51.100.1:9", "/readyz", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := production(t, s, tt.issuer, &servertest.Buffer{}, "10.0.0.0/8")
			p := arrive(h, tt.peer, "GET", tt.issuer+tt.path, "", http.Header{"Host": {tt.host}, "X-Forwarded-Host": {"auth.example.com"}})
			if want := map[bool]int{true: http.StatusOK, false: http.StatusMisdirectedRequest}[tt.ok]; p.Status != want {
				t.Errorf("GET %s with Host %s from %s: status %d, want %d", tt.path, tt.host, tt.peer, p.Status, want)
			}
		})
	}
	h := production(t, s, proxied, &servertest.Buffer{}, "10.0.0.0/8")
	p := arrive(h, "10.1.1.1:9", "GET", proxied+"/.well-known/oauth-authorization-server", "", http.Header{
		"Host": {"evil.example"}, "X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Prefix": {"/evil"},
	})
	if m := answerOf(t, p); m["issuer"] != proxied || strings.Contains(p.Body, "evil") || strings.Contains(p.Body, `"http:`) {
		t.Errorf("metadata behind a proxy = %s", p.Body)
	}
	if p.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
}

// TestCheckProxies: who may be believed is never everybody.
func TestCheckProxies(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, tt := range []struct {
		network string
		ok      bool
	}{
		{"10.0.0.0/8", true}, {"127.0.0.1/32", true}, {"::1/128", true}, {"fc00::/7", true}, {"2001:db8::/32", true},
		{"0.0.0.0/0", false}, {"::/0", false}, {"0.0.0.0/1", false}, {"128.0.0.0/7", false}, {"2000::/3", false},
		{"10.0.0.1/8", false}, {"::ffff:10.0.0.0/104", false},
	} {
		network := netip.MustParsePrefix(tt.network)
		if err := server.CheckProxies([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), network}); (err == nil) != tt.ok {
			t.Errorf("CheckProxies(%s) = %v, want ok %v", network, err, tt.ok)
		}
		cfg := productionConfig(t, s, proxied)
		cfg.TrustedProxies = []netip.Prefix{network}
		if _, err := server.New(cfg); (err == nil) != tt.ok {
			t.Errorf("New with %s = %v, want ok %v", network, err, tt.ok)
		}
	}
	if err := server.CheckProxies([]netip.Prefix{{}}); err == nil {
		t.Error("CheckProxies of the zero prefix: no error")
	}
	cfg := productionConfig(t, s, "http://127.0.0.1:8080")
	cfg.Insecure, cfg.TrustedProxies = true, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if _, err := server.New(cfg); err == nil {
		t.Error("a development server with trusted proxies: no error")
	}
}

// TestIssuerWithPathIsWhole: with a path in the issuer everything is below
// it, forms included, and the cookies are the host's.
func TestIssuerWithPathIsWhole(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Path: "/tenant"})
	root := strings.TrimSuffix(s.Issuer, "/tenant")
	b := s.Browser()
	p := b.Authorize(s.Request(client, nil))
	wantAction(t, p, "password", "/tenant/signin")
	wantCookies(t, p)
	p = b.SignIn(p, servertest.Person)
	if !strings.HasPrefix(p.URL, s.Issuer+"/consent?") {
		t.Errorf("after sign-in at %s", p.URL)
	}
	wantAction(t, p, "decision", "/tenant/consent")
	p = b.Submit(p, "decision", url.Values{"decision": {"allow"}})
	if p.Param("iss") != s.Issuer || p.Param("code") == "" {
		t.Fatalf("redirect to %s, want a code and iss %s", p.Location, s.Issuer)
	}
	if got := post(t, s, s.Exchange(client, p, nil), nil); got.Status != http.StatusOK {
		t.Errorf("token: status %d\n%s", got.Status, got.Body)
	}
	refused := b.Authorize(s.Request(client, url.Values{"client_id": nil}))
	if !strings.Contains(refused.Body, `href="/tenant/help/request_invalid"`) {
		t.Errorf("no link to the help page\n%s", brief(refused))
	}
	for _, path := range []string{"/authorize", "/signin", "/consent", "/token", "/jwks", "/help/try_later", "/tenant", "/tenant/", "/tenant/livez", "/tenantx/jwks"} {
		if p := send(t, "GET", root+path, "", nil); p.Status != http.StatusNotFound {
			t.Errorf("GET %s: status %d, want 404", path, p.Status)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/tenant/jwks"} {
		if p := send(t, "GET", root+path, "", nil); p.Status != http.StatusOK {
			t.Errorf("GET %s: status %d, want 200", path, p.Status)
		}
	}
}

// wantAction checks where a page's form goes.
func wantAction(t *testing.T, p servertest.Page, element, want string) {
	t.Helper()
	if action, _, ok := p.Form(element); !ok || action != want {
		t.Fatalf("action of the form with %s = %q, %v, want %q (status %d)", element, action, ok, want, p.Status)
	}
}

// wantCookies checks that a page sets cookies of the whole host.
func wantCookies(t *testing.T, p servertest.Page) {
	t.Helper()
	set := slices.DeleteFunc(p.Header.Values("Set-Cookie"), func(c string) bool { return strings.HasPrefix(c, "guestlist-") }) // plain twins
	if len(set) == 0 {
		t.Error("no cookie")
	}
	for _, c := range set {
		if !strings.HasPrefix(c, "__Host-") || !strings.Contains(c, "; Path=/;") || !strings.Contains(c, "; Secure") {
			t.Errorf("cookie %q, want __Host- with Path=/ and Secure", c)
		}
	}
}

// TestNoPlainCookiesInProduction: the plain twins are development's alone.
func TestNoPlainCookiesInProduction(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	p := arrive(production(t, s, proxied, &servertest.Buffer{}), "198.51.100.1:9", "GET", proxied+"/signin", "", nil)
	set := p.Header.Values("Set-Cookie")
	if p.Status != http.StatusOK || len(set) != 1 || !strings.HasPrefix(set[0], "__Host-guestlist-browser=") {
		t.Errorf("status %d, cookies %q, want the __Host- one alone", p.Status, set)
	}
}
