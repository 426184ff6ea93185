package server_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// eventMembers are the members that each wide event has.
const eventMembers = "bytes event level method request_id route source status took_ms"

// eventOf is the one wide event of a request; nil where there is not one.
func eventOf(t *testing.T, log *servertest.Buffer, id string) map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(log.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if e["request_id"] == id {
			found = append(found, e)
		}
	}
	if len(found) != 1 || found[0]["event"] != "http.request" {
		t.Errorf("the request %q has the events %v, want one http.request", id, found)
		return nil
	}
	return found[0]
}

// await waits for what nobody answers for. The minute bounds a hang and
// measures nothing.
func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("it did not happen within a minute")
			return
		}
	}
}

// hasExactly holds the members of an event against a list.
func hasExactly(t *testing.T, name string, e map[string]any, members string) {
	t.Helper()
	want := append(strings.Fields(eventMembers), strings.Fields(members)...)
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(e)); e != nil && !slices.Equal(got, want) {
		t.Errorf("%s: the event is %v,\nwith the members %q\nwant %q", name, e, got, want)
	}
}

// TestOneEventOfEveryRequest: every path and method has one wide event, under
// the id of the answer.
func TestOneEventOfEveryRequest(t *testing.T) {
	t.Parallel()
	log := &servertest.Buffer{}
	s := start(t, servertest.Options{Log: log})
	for path, route := range map[string]string{
		"/authorize": "", "/signin": "", "/signout": "", "/consent": "", "/account": "", "/token": "", "/revoke": "", "/introspect": "", "/jwks": "",
		"/help/try_later": "/help/{reason}", "/help/nothing": "/help/{reason}", "/livez": "", "/readyz": "", "/.well-known/oauth-authorization-server": "",
		"/.well-known/openid-configuration": "", "/nowhere": "none", "/": "none", "//token": "none", "/token/": "none",
	} {
		if route == "" {
			route = path
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "BREW"} {
			p := send(t, method, s.Issuer+path+"?x=1", "a=b", formHeader())
			e := eventOf(t, log, p.Header.Get("X-Request-Id"))
			if method == "BREW" {
				method = "other" // words of strangers are not repeated
			}
			if e == nil || e["method"] != method || e["route"] != route || e["status"] != float64(p.Status) || e["source"] != "127.0.0.1" {
				t.Errorf("%s %s, status %d: the event is %v", method, path, p.Status, e)
				continue
			}
			switch refused := p.Status >= 400 && route != "none" && path != "/help/nothing"; {
			case p.Status == http.StatusMethodNotAllowed, refused:
				if e["outcome"] != "refused" || e["reason"] == nil || e["detail"] == nil {
					t.Errorf("%s %s, status %d: the event %v says no reason", method, path, p.Status, e)
				}
			default:
				hasExactly(t, method+" "+path, e, "")
			}
		}
	}
}

// TestReadmeWideEvent: README names each member, and no other, of the event.
func TestReadmeWideEvent(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "Each request writes one line `http.request` ")
	said, _, _ := strings.Cut(rest, "\n")
	want := append(strings.Fields(eventMembers), strings.Fields("client_id client_id_digest subject grant_id resource outcome reason detail phase policy document_from decision_id trace_id span_id X-Request-Id")...)
	var got []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(said, -1) {
		got = append(got, m[1])
	}
	want = slices.DeleteFunc(want, func(m string) bool { return m == "event" || m == "level" }) // of every line
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("README names %q, want %q", got, want)
	}
}

// TestWideEventMembers: what each endpoint's event says of who asked for what.
func TestWideEventMembers(t *testing.T) {
	t.Parallel()
	log := &servertest.Buffer{}
	s := servertest.New(t, servertest.Options{Policy: refreshPolicy(""), Log: log})
	s.Docs.Publish(client, refreshing)
	check := func(name string, header http.Header, members string, values ...string) {
		t.Helper()
		e := eventOf(t, log, header.Get("X-Request-Id"))
		hasExactly(t, name, e, members)
		for i := 0; i < len(values); i += 2 {
			if e[values[i]] != values[i+1] {
				t.Errorf("%s: %s is %v, want %s", name, values[i], e[values[i]], values[i+1])
			}
		}
	}
	const admitted = "client_id outcome phase policy decision_id "
	b := s.Browser()
	p := b.Authorize(s.Request(client, nil))
	check("cold", p.Header, admitted+"document_from", "client_id", client, "outcome", "admitted", "phase", "document", "policy", "clients", "document_from", "network")
	check("known", b.Authorize(s.Request(client, nil)).Header, admitted+"document_from", "outcome", "reused", "document_from", "store")
	other := "https://client.example.com/other.json"
	check("refused", b.Authorize(s.Request(other, nil)).Header, "client_id outcome phase decision_id reason detail", "client_id", other, "outcome", "refused", "reason", "no_policy_matched")
	check("no client", b.Authorize(s.Request("hunter2", nil)).Header, "client_id_digest outcome decision_id reason detail", "reason", "client_id_unknown")
	check("wrong password", b.Submit(p, "password", url.Values{"username": {"alice"}, "password": {"x"}}).Header, "outcome decision_id reason detail", "reason", "sign_in_failed")
	p = b.SignIn(p, "alice")
	p = b.Submit(p, "decision", url.Values{"decision": {"allow"}})
	check("consent", p.Header, admitted+"subject grant_id", "client_id", client, "phase", "user")
	status, tokens, header := s.Token(s.Exchange(client, p, nil))
	if status != http.StatusOK {
		t.Fatalf("token: %d %v", status, tokens)
	}
	check("exchange", header, admitted+"subject grant_id", "client_id", client, "phase", "user")
	_, _, header = s.Token(s.Exchange(client, p, nil))
	check("replay", header, "client_id outcome decision_id reason detail", "reason", "grant_spent")
	p = b.Play(s.Request(client, nil))
	_, tokens, _ = s.Token(s.Exchange(client, p, nil))
	_, answer, header := introspect(t, s, "Example MCP server", servertest.Secret, tokens["access_token"])
	if answer["active"] != true {
		t.Fatalf("introspection: %v", answer)
	}
	check("introspection", header, "client_id subject grant_id resource decision_id", "resource", "Example MCP server", "client_id", client)
	_, _, header = introspect(t, s, "Example MCP server", servertest.Secret, "nonsense")
	check("introspection of nothing", header, "resource")
	_, _, header = introspect(t, s, "Example MCP server", "wrong", "nonsense")
	check("introspection by a stranger", header, "outcome decision_id reason detail", "reason", "resource_authentication_failed")
	status, tokens, header = s.Token(url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {tokens["refresh_token"].(string)}})
	if status != http.StatusOK {
		t.Fatalf("refresh: %d %v", status, tokens)
	}
	check("refresh", header, admitted+"subject grant_id", "phase", "refresh", "outcome", "reused")
	given := url.Values{"client_id": {client}, "token": {tokens["refresh_token"].(string)}}
	check("revocation", send(t, "POST", s.Issuer+"/revoke", given.Encode(), formHeader()).Header, "client_id subject grant_id decision_id", "client_id", client)
	for _, secret := range []string{"hunter2", servertest.Secret, servertest.Password, servertest.Verifier, tokens["refresh_token"].(string), "state-1", "51234"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log says %q", secret)
		}
	}
}

// panicky is a store that panics while it is told to.
type panicky struct {
	store.Store
	on atomic.Bool
}

// Begin implements store.Store.
func (p *panicky) Begin() store.Unit {
	if p.on.Load() {
		panic("a canary of a panic")
	}
	return p.Store.Begin()
}

// TestWideEventOfAbruptEnds: a panic, and a caller who leaves, are one event
// each.
func TestWideEventOfAbruptEnds(t *testing.T) {
	t.Parallel()
	log := &servertest.Buffer{}
	var p *panicky
	s := start(t, servertest.Options{Log: log, Wrap: func(st store.Store) store.Store {
		p = &panicky{Store: st}
		return p
	}})
	p.on.Store(true)
	got := send(t, "GET", s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), "", nil)
	p.on.Store(false)
	e := eventOf(t, log, got.Header.Get("X-Request-Id"))
	if got.Status != http.StatusInternalServerError || e["level"] != "error" || e["reason"] != string(broker.ReasonServerTrouble) || strings.Contains(log.String(), "canary") {
		t.Errorf("a panic: status %d, event %v", got.Status, e)
	}
	wait := make(chan struct{})
	defer close(wait)
	s.Docs.Set(client, servertest.Answer{Wait: wait})
	ctx, leave := context.WithCancel(t.Context())
	go func() { // once the document was asked for
		await(t, func() bool { return s.Docs.Hits(client) > 0 })
		leave()
	}()
	r, err := http.NewRequestWithContext(ctx, "GET", s.Issuer+"/authorize?"+s.Request(client, nil).Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := s.Client().Do(r); err == nil {
		t.Fatalf("the answer came before the document: %d", resp.StatusCode)
	}
	await(t, func() bool { return strings.Count(log.String(), "\n") > 1 }) // nobody waits for the answer
	last := log.String()[strings.LastIndex(strings.TrimSpace(log.String()), "\n")+1:]
	if strings.Count(log.String(), "\n") != 2 || !strings.Contains(last, `"client_id":"`+client+`"`) || !strings.Contains(last, `"outcome":"caller left"`) {
		t.Errorf("who left has the event %s", last)
	}
}
