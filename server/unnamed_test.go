package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/admin"
	"guestlist/server/servertest"
)

// asker asks what guestlist audit why asks.
func asker(t testing.TB, s *servertest.Server) *admin.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "why") // its name leaves room for a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h, err := admin.New(admin.Config{Store: s.Store, Flush: s.Batch.Flush, Now: s.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	l, err := admin.Listen(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: h, ConnContext: admin.ConnContext}
	go web.Serve(l)
	t.Cleanup(func() { web.Close() })
	return admin.NewClient(filepath.Join(dir, "s"))
}

// allKinds draws answers of every kind from a server.
func allKinds(t *testing.T, s *servertest.Server) {
	t.Helper()
	for _, path := range []string{
		"/authorize", "/authorize?client_id=x", "/signin", "/signout", "/consent", "/account", "/token", "/revoke", "/introspect", "/jwks",
		"/help/request_invalid", "/help/nonsense", "/livez", "/readyz", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/", "/nowhere",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS"} {
			send(t, method, s.Issuer+path, "", formHeader())
		}
		send(t, "GET", s.Issuer+path, "", http.Header{"Host": {"other.example"}})
		send(t, "POST", s.Issuer+path, "a=1&a=2&token=x&client_id=x", formHeader())
		send(t, "POST", s.Issuer+path, "{", http.Header{"Content-Type": {"application/json"}})
		check(t, s.Batch.Flush(t.Context())) // so that this is no flood yet
	}
	for _, change := range []url.Values{
		{"client_id": {"https://nobody.example/c"}}, {"client_id": {"https://user@client.example.com/c"}}, {"redirect_uri": {"https://evil.example/"}},
		{"scope": {"nothing"}}, {"prompt": {"none"}}, {"code_challenge": nil}, {"request": {"x"}}, {"response_type": {"token"}}, {"resource": {"https://other.example/"}},
	} {
		s.Browser().Authorize(s.Request(client, change))
	}
	tokens := signedIn(t, s)
	refresh(s, tokens["refresh_token"], nil)
	refresh(s, "none", nil)
	isActive(t, s, tokens["access_token"])
	isActive(t, s, tokens["access_token"])
	isActive(t, s, "none")
	introspect(t, s, "nobody", "guess", tokens["access_token"])
	post(t, s, url.Values{"grant_type": {"authorization_code"}, "client_assertion": {"x.y.z"}, "client_assertion_type": {servertest.AssertionType}, "code": {"x"}}, nil)
	send(t, "POST", s.Issuer+"/revoke", url.Values{"token": {"none"}, "client_id": {client}}.Encode(), formHeader())
	b := s.Browser()
	b.SignIn(b.Authorize(s.Request(client, nil)), "nobody")
	b.SignIn(b.Authorize(s.Request(client, nil)), servertest.Person)
	b.Get(s.Issuer + "/account")
}

// G-01: each id that somebody was shown is explained, whatever kind of answer
// it came with: a refusal with its reason, and of the others what is known.
func TestG01EveryIDIsExplained(t *testing.T) {
	t.Parallel()
	var log servertest.Buffer
	s := start(t, servertest.Options{Policy: lasting("keep"), Log: &log})
	s.Docs.Publish(client, refreshing)
	allKinds(t, s)
	why := asker(t, s)
	kinds := map[string]int{}
	for line := range bytes.Lines([]byte(log.String())) {
		var e struct {
			Event, Route, Method, Reason string
			Status                       int
			RequestID                    string `json:"request_id"`
		}
		if err := json.Unmarshal(line, &e); err != nil || e.Event != "http.request" {
			continue
		}
		w, err := why.Why(t.Context(), e.RequestID, time.Time{}, false)
		name := e.Method + " " + e.Route + " " + http.StatusText(e.Status)
		switch {
		case err != nil:
			t.Errorf("%s: why %s: %v", name, e.RequestID, err)
			continue
		case w.RequestID != e.RequestID, w.Reason != e.Reason, e.Reason != "" && w.PublicReason != string(broker.Reason(e.Reason).Public()):
			t.Errorf("%s: why %s = %+v, want reason %q", name, e.RequestID, w, e.Reason)
		case e.Reason != "" && w.Unnamed != nil:
			t.Errorf("%s: why %s = %+v, want the record of the refusal", name, e.RequestID, w.Unnamed)
		case len(w.Records) == 0 && (w.Unnamed == nil || w.Unnamed.Verdict != admin.UnnamedUnrecorded || !w.Unnamed.GivenAt.Equal(s.Clock.Now()) || w.Unnamed.Told == ""):
			t.Errorf("%s: why %s = %+v without records, want what is known", name, e.RequestID, w.Unnamed)
		}
		switch {
		case e.Reason != "":
			kinds["refused"]++
		case w.Unnamed != nil:
			kinds["unrecorded "+e.Route]++
		default:
			kinds["recorded"]++
		}
	}
	for _, kind := range []string{"refused", "recorded", "unrecorded /jwks", "unrecorded none", "unrecorded /help/{reason}", "unrecorded /introspect", "unrecorded /revoke", "unrecorded /livez"} {
		if kinds[kind] == 0 {
			t.Errorf("no answer was %s: %v", kind, kinds)
		}
	}
}

// What this server cannot have given out is told from what it may have.
func TestG01ForeignIDs(t *testing.T) {
	t.Parallel()
	s := start(t, servertest.Options{})
	why := asker(t, s)
	now := s.Clock.Now()
	for name, c := range map[string]struct{ id, want string }{
		"another form":  {"no-such-id", "never gave it out"},
		"capitals":      {strings.ToUpper(broker.NewRequestID(now)), "never gave it out"},
		"to come":       {broker.NewRequestID(now.Add(2 * time.Minute)), "which is to come"},
		"before it all": {broker.NewRequestID(now.Add(-time.Hour)), "this log begins at"},
	} {
		if w, err := why.Why(t.Context(), c.id, time.Time{}, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: why %s = %+v, %v, want an error with %q", name, c.id, w, err, c.want)
		}
	}
	w, err := why.Why(t.Context(), broker.NewRequestID(now), time.Time{}, false)
	if err != nil || w.Unnamed == nil || w.Unnamed.Verdict != admin.UnnamedUnrecorded {
		t.Errorf("an id of this moment that no answer had = %+v, %v, want %s", w, err, admin.UnnamedUnrecorded)
	}
}
