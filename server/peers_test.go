package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// canary is a listener that must see nothing. It counts connections, not
// requests: what is turned down by TLS was sent all the same.
func canary(t *testing.T) (address string, hits func() int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var n atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.Add(1)
			c.Close()
		}
	}()
	return l.Addr().String(), n.Load
}

// TestB9ToB12NothingElseIsFetched is B9, B10, B11, B12, F16, Q11: a client
// whose document names a second hop wherever other servers followed one goes
// through its whole life, and neither the server nor a page it shows reaches
// out. The names resolve, so that a request would arrive.
func TestB9ToB12NothingElseIsFetched(t *testing.T) {
	t.Parallel()
	at, hits := canary(t)
	_, port, _ := net.SplitHostPort(at)
	s := servertest.New(t, servertest.Options{HostMap: map[string]string{"second.example.org:443": at}})
	document := map[string]any{"grant_types": []string{"authorization_code", "refresh_token", "urn:openid:params:grant-type:ciba"}}
	const second = "https://second.example.org/x"
	for _, name := range []string{
		"sector_identifier_uri", "backchannel_logout_uri", "frontchannel_logout_uri", "initiate_login_uri", "logo_uri", "client_uri",
		"tos_uri", "policy_uri", "backchannel_client_notification_endpoint", "jwks_uri", "registration_client_uri",
	} {
		document[name] = second
	}
	for _, name := range []string{"request_uris", "post_logout_redirect_uris"} {
		document[name] = []string{second, "http://127.0.0.1:" + port + "/x"}
	}
	s.Docs.Publish(client, document)
	b := s.Browser()
	page := b.SignIn(b.Authorize(s.Request(client, nil)), servertest.Person)
	if _, _, ok := page.Form("decision"); !ok {
		t.Fatalf("status %d, want the consent page\n%s", page.Status, brief(page))
	}
	for _, bad := range []string{"<img", "<iframe", "<link rel=\"icon\" href=\"https://second", "url(https://second"} {
		if strings.Contains(page.Body, bad) {
			t.Errorf("the consent page has %q", bad)
		}
	}
	p := b.Submit(page, "decision", allow())
	_, tokens, _ := s.Token(s.Exchange(client, p, nil))
	if status, answer := refresh(s, tokens["refresh_token"], nil); status != http.StatusOK {
		t.Errorf("refresh: %d %v", status, answer)
	}
	introspect(t, s, "Example MCP server", servertest.Secret, tokens["access_token"])
	if status := revoke(t, s, tokens["refresh_token"]); status != http.StatusOK {
		t.Errorf("revoke: %d", status)
	}
	b.Get(s.Issuer + "/account")
	if n := hits(); n != 0 {
		t.Errorf("the second hop saw %d connections, want none", n)
	}
	if n := s.Docs.Total(); n != 1 {
		t.Errorf("the document host saw %d requests, want the one for the document", n)
	}
}

// TestB6LoopbackIdentifiers is B6, F12, PF-21, U1, U13: an identifier on
// loopback is refused in form, whatever its scheme and spelling, and nothing
// listens to it, although issuer and listener are on loopback themselves.
func TestB6LoopbackIdentifiers(t *testing.T) {
	t.Parallel()
	at, hits := canary(t)
	_, port, _ := net.SplitHostPort(at)
	s := start(t, servertest.Options{})
	for _, id := range []string{
		"http://127.0.0.1:%s/x", "http://localhost:%s/x", "http://[::1]:%s/x", "https://127.0.0.1:%s/x", "https://localhost:%s/x",
		"https://[::1]:%s/x", "https://2130706433:%s/x", "https://0x7f.1:%s/x", "https://localhost.:%s/x", "https://127.0.0.1.:%s/x",
	} {
		id = fmt.Sprintf(id, port)
		wantPage(t, s, s.Browser().Authorize(s.Request(id, nil)), http.StatusBadRequest, broker.ReasonClientIDMalformed)
	}
	if n := hits(); n != 0 {
		t.Errorf("the listener saw %d connections, want none", n)
	}
	wantNobody(t, s)
}

// TestB16AudienceSurvivesRefresh is B16: the audience of a grant stays what it
// was through two refreshes, with the resource repeated and without.
func TestB16AudienceSurvivesRefresh(t *testing.T) {
	t.Parallel()
	s := withResources(t, nil)
	for _, again := range []url.Values{nil, {"resource": {servertest.Resource}}} {
		tokens := tokensFor(t, s, servertest.Resource)
		for n := range 3 {
			if aud := servertest.Claims(t, tokens["access_token"])["aud"]; aud != servertest.Resource {
				t.Errorf("after %d refreshes with %v: aud = %v, want %s", n, again, aud, servertest.Resource)
			}
			status, answer := refresh(s, tokens["refresh_token"], again)
			if status != http.StatusOK {
				t.Fatalf("refresh %d with %v: %d %v", n, again, status, answer)
			}
			tokens = answer
		}
	}
}

// TestB23WithdrawnRedirect is B23, F2, F8: a redirect URI that the document no
// longer has works neither beyond the headers' time nor, whatever they say,
// beyond the ceiling, in the copy and in the stored row alike.
func TestB23WithdrawnRedirect(t *testing.T) {
	t.Parallel()
	const stolen = docHost + "/stolen"
	publish := func(s *servertest.Server, header string, uris ...string) {
		list, err := json.Marshal(uris)
		check(t, err)
		s.Docs.Set(client, servertest.Answer{Header: map[string]string{"Cache-Control": header}, Body: fmt.Sprintf(
			`{"client_id":%q,"client_name":"Example","redirect_uris":%s}`, client, list)})
	}
	for header, life := range map[string]time.Duration{
		"max-age=600": 10 * time.Minute, "max-age=31536000": 24 * time.Hour, "max-age=99999999999999999999": 24 * time.Hour, "immutable": time.Hour,
	} {
		t.Run(header, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{})
			publish(s, header, redirectURI, stolen)
			use := url.Values{"redirect_uri": {stolen}}
			b := s.Browser()
			codePage(t, s, b, use)
			publish(s, header, redirectURI)
			s.Clock.Advance(life - time.Second)
			if p := b.Authorize(s.Request(client, use)); p.Status != http.StatusOK {
				t.Errorf("a second before the end: status %d, want a page to go on", p.Status)
			}
			s.Clock.Advance(time.Second)
			for range 2 {
				p := s.Browser().Authorize(s.Request(client, use))
				wantPage(t, s, p, http.StatusBadRequest, broker.ReasonRedirectMismatch)
			}
			codePage(t, s, s.Browser(), nil)
		})
	}
}

// TestB40RefusedIdentifiersAreQuiet is B40: a stranger who sends random
// identifiers gets one line of the log for each request and no more, none of
// it louder than information and none longer for a longer identifier; what is
// no identifier is not in it.
func TestB40RefusedIdentifiersAreQuiet(t *testing.T) {
	t.Parallel()
	log := &servertest.Buffer{}
	s := start(t, servertest.Options{Log: log})
	const each = 50
	for i := range each {
		for _, id := range []string{
			"https://stranger.example.net/%d-" + strings.Repeat("x", 1900), "http://x/%d-canary", "%d-canary", docHost + "/%d",
		} {
			s.Browser().Authorize(s.Request(fmt.Sprintf(id, i), nil))
		}
	}
	s.Stop()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 4*each {
		t.Errorf("%d lines for %d requests", len(lines), 4*each)
	}
	for _, line := range lines {
		if !strings.Contains(line, `"level":"info"`) || strings.Contains(line, "canary") || len(line) > 3000 {
			t.Fatalf("a line of %d bytes, want information, short, without what was sent:\n%s", len(line), line)
		}
	}
}

// TestU8PortIsAnotherClient is U8, U10, A15, Q13: the same
// address with its default port written out is another client. Neither the
// row nor consent nor tokens pass from one to the other.
func TestU8PortIsAnotherClient(t *testing.T) {
	t.Parallel()
	const twin = "https://client.example.com:443/oauth/client.json"
	files := policy()
	files["twins.rego"] = strings.NewReplacer("policies.clients", "policies.twins", docHost+"/**", docHost+":443/**").Replace(base)
	for name, text := range files {
		files[name] = strings.Replace(text, "settings := {", "settings := {\n\t\"consent\": {\"mode\": \"once\", \"max_age\": \"2d\"},\n\t"+
			`"grant_types": ["authorization_code", "refresh_token"], "refresh_token": {"issue": true},`, 1)
	}
	s := start(t, servertest.Options{Policy: files})
	for _, id := range []string{client, twin} {
		s.Docs.Publish(id, map[string]any{"grant_types": refreshing["grant_types"], "redirect_uris": []string{webRedirect}})
	}
	b := s.Browser()
	use := url.Values{"redirect_uri": {webRedirect}}
	tokens := func(id string) map[string]any {
		p := b.Play(s.Request(id, use))
		status, answer, _ := s.Token(s.Exchange(id, p, use))
		if status != http.StatusOK {
			t.Fatalf("%s: %d %v\n%s", id, status, answer, brief(p))
		}
		return answer
	}
	one := tokens(client)
	if p := b.Authorize(s.Request(client, use)); !isShort(p) {
		t.Errorf("the client itself is not remembered\n%s", brief(p))
	}
	if p := b.Authorize(s.Request(twin, use)); isShort(p) {
		t.Errorf("the twin is remembered\n%s", brief(p))
	}
	two := tokens(twin)
	rows, err := s.Store.Clients(t.Context(), store.ClientQuery{})
	if err != nil || len(rows) != 2 {
		t.Errorf("%d rows, %v, want two", len(rows), err)
	}
	for _, x := range []struct {
		name, id string
		token    any
		status   int
	}{
		{"the twin with the client's token", twin, one["refresh_token"], http.StatusBadRequest},
		{"the client with the twin's token", client, two["refresh_token"], http.StatusBadRequest},
		{"the client with its own", client, one["refresh_token"], http.StatusOK},
		{"the twin with its own", twin, two["refresh_token"], http.StatusOK},
	} {
		if status, answer := refresh(s, x.token, url.Values{"client_id": {x.id}}); status != x.status {
			t.Errorf("%s: %d %v, want %d", x.name, status, answer, x.status)
		}
	}
}

// TestQ20GraceOfAStoredDocument is Q20, Q3, G-12: a host that turns us down or
// is in trouble leaves a known client the grace of its settings, to the
// second; whoever is new is refused.
func TestQ20GraceOfAStoredDocument(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]servertest.Answer{
		"403 with a challenge": {Status: 403, Header: map[string]string{"Content-Type": "text/html"}, Body: "<p>"},
		"429":                  {Status: 429},
		"503":                  {Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, servertest.Options{})
			codePage(t, s, s.Browser(), nil)
			s.Docs.Set(client, answer)
			s.Docs.Set(docHost+"/new", answer)
			wantPage(t, s, s.Browser().Authorize(s.Request(docHost+"/new", nil)), http.StatusBadRequest, broker.ReasonFetchStatus)
			s.Clock.Advance(25*time.Hour - time.Second) // an hour fresh, 24 of grace
			codePage(t, s, s.Browser(), nil)
			s.Clock.Advance(time.Second)
			wantPage(t, s, s.Browser().Authorize(s.Request(client, nil)), http.StatusBadRequest, broker.ReasonFetchStatus)
		})
	}
}

// TestA4NothingIsIssued is A4, M3: this server hands out no client
// identifiers, so that none can look like a URL, and what it names itself
// does not.
func TestA4NothingIsIssued(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	for _, path := range []string{"/register", "/connect/register", "/reg", "/clients"} {
		if p := send(t, http.MethodPost, s.Issuer+path, "{}", http.Header{"Content-Type": {"application/json"}}); p.Status != http.StatusNotFound {
			t.Errorf("POST %s: status %d, want 404", path, p.Status)
		}
	}
	if m := answerOf(t, send(t, "GET", s.Issuer+"/.well-known/oauth-authorization-server", "", nil)); m["registration_endpoint"] != nil {
		t.Errorf("registration_endpoint = %v, want none", m["registration_endpoint"])
	}
	for range 1000 {
		if id := broker.NewID(); strings.Contains(id, ":") || strings.Contains(id, "/") {
			t.Fatalf("NewID() = %q, which could be a URL", id)
		}
	}
}

// TestQ21SubjectsAreNotClients is Q21: a client gets no token in its own name
// and no ID token, so that its URL is nobody's subject and no issuer's
// audience; sub is the person.
func TestQ21SubjectsAreNotClients(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{Policy: map[string]string{"clients.rego": strings.Replace(base, "settings := {",
		"settings := {\n\t\"grant_types\": [\"authorization_code\", \"client_credentials\"],", 1)}})
	s.Docs.Publish(client, map[string]any{"grant_types": []string{"authorization_code", "client_credentials"}})
	p := codePage(t, s, s.Browser(), url.Values{"scope": {"openid mcp:read"}})
	token := answerOf(t, post(t, s, s.Exchange(client, p, nil), nil))
	if c := servertest.Claims(t, token["access_token"]); c["sub"] != servertest.Person || c["client_id"] != client || token["id_token"] != nil || token["scope"] != "mcp:read" {
		t.Errorf("claims %v, answer %v, want the person as sub and no ID token", c, token)
	}
	own := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "scope": {"mcp:read"}, "resource": {servertest.Resource}}
	wantJSON(t, s, post(t, s, own, nil), http.StatusBadRequest, "unsupported_grant_type", broker.ReasonGrantTypeUnsupported)
}
