package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/servertest"
	"guestlist/store"
)

// fetchedKeys is a server with one client whose keys, a and b, are behind
// jwks_uri and stay fresh for a minute.
type fetchedKeys struct {
	*servertest.Server
	t       *testing.T
	a, b, c *servertest.ClientKey // c has the kid of a
	tokens  map[string]any        // of the last success, with the key a or b
}

func newFetchedKeys(t *testing.T, more string) *fetchedKeys {
	t.Helper()
	f := &fetchedKeys{
		Server: servertest.New(t, servertest.Options{Policy: keyedPolicy(more)}), t: t,
		a: servertest.NewClientKey(t, "ES256", "a"), b: servertest.NewClientKey(t, "ES256", "b"), c: servertest.NewClientKey(t, "ES256", "a"),
	}
	f.Docs.Publish(client, keyedDocument(map[string]any{"jwks_uri": keyedSet}))
	f.serve(f.a)
	f.tokens = keyedTokens(t, f.Server, f.a, client)
	return f
}

// serve makes the set these keys, and lets the one before go stale.
func (f *fetchedKeys) serve(keys ...*servertest.ClientKey) {
	served(f.Server, "max-age=60", keys...)
	f.Clock.Advance(time.Minute)
}

// refresh uses the refresh token at hand with a key.
func (f *fetchedKeys) refresh(k *servertest.ClientKey) servertest.Page {
	f.t.Helper()
	p := post(f.t, f.Server, keyedRefresh(f.tokens, client, f.Assertion(k, client, nil, nil)), nil)
	if p.Status == http.StatusOK {
		f.tokens = answerOf(f.t, p)
	}
	return p
}

// row is the client as stored.
func (f *fetchedKeys) row() broker.Client {
	f.t.Helper()
	c, _, err := f.Store.Begin().Client(f.t.Context(), client)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// has checks which keys the client has and which wait.
func (f *fetchedKeys) has(what string, keys, pending []*servertest.ClientKey) {
	f.t.Helper()
	row := f.row()
	for name, c := range map[string]struct {
		got  []broker.KeyPrint
		want []*servertest.ClientKey
	}{"keys": {row.Keys, keys}, "pending keys": {row.PendingKeys, pending}} {
		var want []broker.KeyPrint
		if len(c.want) > 0 {
			var err error
			if want, err = broker.Prints(servertest.KeySet(c.want...)); err != nil {
				f.t.Fatal(err)
			}
		}
		if fmt.Sprint(c.got) != fmt.Sprint(want) {
			f.t.Errorf("%s: %s = %v, want %v", what, name, c.got, want)
		}
	}
}

// events returns the details of client.keys_changed.
func (f *fetchedKeys) events() []string {
	f.t.Helper()
	var out []string
	for _, r := range f.Records(store.RecordQuery{Event: "client.keys_changed"}) {
		if r.ClientID != client || r.RequestID == "" || r.Incarnation != f.row().Incarnation {
			f.t.Errorf("record %+v, want one of the client", r)
		}
		out = append(out, r.Detail)
	}
	return out
}

func some(k ...*servertest.ClientKey) []*servertest.ClientKey { return k }

// TestG09Rotation is G-09, Q7, CU-06: keys that overlap are followed, whatever
// settings say, and nobody notices.
func TestG09Rotation(t *testing.T) {
	t.Parallel()
	for _, onChange := range []string{"accept", "reconsent", "reapprove", "deny"} {
		f := newFetchedKeys(t, `"document": {"on_change": "`+onChange+`"},`)
		f.has("first sight", some(f.a), nil)
		for _, s := range []struct {
			set, use []*servertest.ClientKey
		}{{some(f.a, f.b), some(f.a, f.b)}, {some(f.b), some(f.b)}} {
			f.serve(s.set...)
			for _, k := range s.use {
				if p := f.refresh(k); p.Status != http.StatusOK {
					t.Fatalf("%s: refresh: %d %s", onChange, p.Status, p.Body)
				}
			}
			f.has(onChange, s.set, nil)
		}
		if got, at := f.events(), f.row().KeysChangedAt; len(got) != 0 || !at.IsZero() {
			t.Errorf("%s: events %q, changed at %v, want none", onChange, got, at)
		}
	}
}

// TestG09Replaced is G-09: a set without a common key, and another key under a
// known kid, are events, and follow document.on_change.
func TestG09Replaced(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, onChange string
		kid            bool // the other key comes under the known kid
		status         int  // of a refresh with it
		reason         broker.Reason
	}{
		{"accept", "accept", false, 200, ""},
		{"accept, same kid", "accept", true, 200, ""},
		{"reconsent", "reconsent", false, 400, broker.ReasonDocumentChanged},
		{"reconsent, same kid", "reconsent", true, 400, broker.ReasonDocumentChanged},
		{"reapprove", "reapprove", false, 401, broker.ReasonClientKeysChanged},
		{"reapprove, same kid", "reapprove", true, 401, broker.ReasonClientKeysChanged},
		{"deny", "deny", false, 401, broker.ReasonClientKeysChanged},
		{"deny, same kid", "deny", true, 401, broker.ReasonClientKeysChanged},
	} {
		f := newFetchedKeys(t, `"document": {"on_change": "`+c.onChange+`"},`)
		next := f.b
		if c.kid {
			next = f.c
		}
		old := f.tokens
		f.serve(next)
		for range 2 {
			p := f.refresh(next)
			if c.status == 200 {
				if p.Status != 200 {
					t.Errorf("%s: refresh: %d %s", c.name, p.Status, p.Body)
				}
				continue
			}
			wantJSON(t, f.Server, p, c.status, map[int]string{400: "invalid_grant", 401: "invalid_client"}[c.status], c.reason)
		}
		waits := c.status == 401
		if waits {
			f.has(c.name, some(f.a), some(next))
		} else {
			f.has(c.name, some(next), nil)
		}
		events := f.events()
		if len(events) != 1 {
			t.Fatalf("%s: %d events, want one", c.name, len(events))
		}
		for _, k := range some(f.a, next) {
			prints, _ := broker.Prints(servertest.KeySet(k))
			if !strings.Contains(events[0], fmt.Sprintf("%q %s", k.KeyID, prints[0].Thumbprint)) {
				t.Errorf("%s: event %q does not name %v", c.name, events[0], prints[0])
			}
		}
		switch {
		case waits:
			if !strings.Contains(events[0], "guestlist client approve "+client) {
				t.Errorf("%s: event %q does not say what it waits for", c.name, events[0])
			}
			f.approve()
			if p := f.refresh(next); p.Status != 200 {
				t.Errorf("%s: refresh once approved: %d %s", c.name, p.Status, p.Body)
			}
		case c.onChange == "reconsent":
			f.Clock.Advance(time.Second)
			f.tokens = keyedTokens(t, f.Server, next, client) // the person consents again
			if p := f.refresh(next); p.Status != 200 {
				t.Errorf("%s: refresh of a grant made since: %d %s", c.name, p.Status, p.Body)
			}
			f.tokens = old
			wantJSON(t, f.Server, f.refresh(next), 400, "invalid_grant", broker.ReasonDocumentChanged)
		}
		if got := f.events(); len(got) != 1 {
			t.Errorf("%s: events %q, want no further", c.name, got)
		}
	}
}

// approve does to the row what guestlist client approve does.
func (f *fetchedKeys) approve() {
	f.t.Helper()
	u := f.Store.Begin()
	c, _, err := u.Client(f.t.Context(), client)
	if err != nil {
		f.t.Fatal(err)
	}
	c.ApproveKeys()
	u.MoveKeys(c)
	if err := f.Store.Commit(f.t.Context(), u); err != nil {
		f.t.Fatal(err)
	}
}

// TestG09CodeIssuedBefore is G-09, B8: a code from before the keys were
// replaced is refused where the person is to consent again.
func TestG09CodeIssuedBefore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		onChange, code string
		status         int
		reason         broker.Reason
	}{
		{"accept", "", 200, ""},
		{"reconsent", "invalid_grant", 400, broker.ReasonDocumentChanged},
		{"reapprove", "invalid_client", 401, broker.ReasonClientKeysChanged},
		{"deny", "invalid_client", 401, broker.ReasonClientKeysChanged},
	} {
		f := newFetchedKeys(t, `"document": {"on_change": "`+c.onChange+`"},`)
		f.serve(f.b)
		p := f.Browser().Play(f.Request(client, nil))
		for range 2 {
			got := post(t, f.Server, f.Exchange(client, p, f.Asserted(f.b, client)), nil)
			if c.status == 200 {
				if got.Status != 200 {
					t.Errorf("%s: exchange: %d %s", c.onChange, got.Status, got.Body)
				}
				break
			}
			wantJSON(t, f.Server, got, c.status, c.code, c.reason)
		}
	}
}

// TestG09GrantWithoutAKey is G-09, G-11: what was allowed without a key does
// not rest on one, and goes on when the keys are replaced; what was allowed
// with one does not, at introspection neither.
func TestG09GrantWithoutAKey(t *testing.T) {
	t.Parallel()
	f := newFetchedKeys(t, `"token_endpoint_auth_methods": ["none", "private_key_jwt"], "access_token": {"format": "opaque"},`)
	f.Docs.Publish(keyedOther, keyedDocument(map[string]any{"jwks_uri": keyedSet, "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}}))
	with := keyedTokens(t, f.Server, f.a, keyedOther)
	p := f.Browser().Play(f.Request(keyedOther, nil))
	status, without, _ := f.Token(f.Exchange(keyedOther, p, nil))
	if status != http.StatusOK {
		t.Fatalf("exchange: %d %v", status, without)
	}
	f.serve(f.b)
	for range 2 {
		got := post(t, f.Server, keyedRefresh(with, keyedOther, f.Assertion(f.b, keyedOther, nil, nil)), nil)
		wantJSON(t, f.Server, got, http.StatusBadRequest, "invalid_grant", broker.ReasonDocumentChanged)
	}
	for what, c := range map[string]struct {
		tokens map[string]any
		active bool
	}{"with a key": {with, false}, "without": {without, true}} {
		if _, got, _ := introspect(t, f.Server, "Example MCP server", servertest.Secret, c.tokens["access_token"]); got["active"] != c.active {
			t.Errorf("%s: introspection = %v, want active %t", what, got, c.active)
		}
	}
	if status, answer := refresh(f.Server, without["refresh_token"], url.Values{"client_id": {keyedOther}}); status != http.StatusOK {
		t.Errorf("refresh without a key: %d %v", status, answer)
	}
}

// TestG09KnownKeyGoesOn is G-09: while a set waits for an operator the keys
// that the client had before count, and a set that its host takes back waits
// no more.
func TestG09KnownKeyGoesOn(t *testing.T) {
	t.Parallel()
	f := newFetchedKeys(t, `"document": {"on_change": "deny"},`)
	f.serve(f.a, f.b)
	if p := f.refresh(f.b); p.Status != http.StatusOK {
		t.Fatalf("rotation: %d %s", p.Status, p.Body)
	}
	f.serve(f.b, f.c) // a's kid has another key
	wantJSON(t, f.Server, f.refresh(f.c), http.StatusUnauthorized, "invalid_client", broker.ReasonClientKeysChanged)
	if p := f.refresh(f.b); p.Status != http.StatusOK {
		t.Errorf("refresh with a key of before: %d %s", p.Status, p.Body)
	}
	f.has("waiting", some(f.a, f.b), some(f.b, f.c))
	f.serve(f.a, f.b)
	if p := f.refresh(f.a); p.Status != http.StatusOK {
		t.Errorf("refresh once the host took it back: %d %s", p.Status, p.Body)
	}
	f.has("taken back", some(f.a, f.b), nil)
	if got := f.events(); len(got) != 1 {
		t.Errorf("events %q, want one", got)
	}
}

// TestG09StrangeKeyEndsNothing is G-09, F1: whoever takes over a key set can
// end no grant with a spent token, nor see an answer again.
func TestG09StrangeKeyEndsNothing(t *testing.T) {
	t.Parallel()
	for _, onChange := range []string{"accept", "deny"} {
		f := newFetchedKeys(t, `"document": {"on_change": "`+onChange+`"}, "refresh_token": {"issue": true, "grace": "60s"},`)
		p := f.Browser().Play(f.Request(client, nil))
		form := f.Exchange(client, p, f.Asserted(f.a, client))
		got := post(t, f.Server, form, nil)
		if got.Status != http.StatusOK {
			t.Fatalf("exchange: %d %s", got.Status, got.Body)
		}
		ofCode := answerOf(t, got)
		f.Clock.Advance(30 * time.Second)
		served(f.Server, "max-age=60", f.b)
		spent := f.tokens
		if got := f.refresh(f.a); got.Status != http.StatusOK { // from the cache
			t.Fatalf("refresh: %d %s", got.Status, got.Body)
		}
		f.Clock.Advance(31 * time.Second)
		for what, form := range map[string]url.Values{"in grace": keyedRefresh(spent, client, ""), "spent code": form} {
			for name, v := range f.Asserted(f.b, client) {
				form[name] = v
			}
			got := post(t, f.Server, form, nil)
			if got.Status != http.StatusBadRequest {
				t.Errorf("%s %s: %d %s", onChange, what, got.Status, got.Body)
			}
		}
		f.Clock.Advance(time.Hour)
		late := keyedRefresh(spent, client, f.Assertion(f.b, client, nil, nil))
		wantJSON(t, f.Server, post(t, f.Server, late, nil), http.StatusBadRequest, "invalid_grant", broker.ReasonRefreshReused)
		f.serve(f.a)
		for what, tokens := range map[string]map[string]any{"refresh token": f.tokens, "code": ofCode} {
			f.tokens = tokens
			if got := f.refresh(f.a); got.Status != http.StatusOK {
				t.Errorf("%s, the owner of the %s afterwards: %d %s", onChange, what, got.Status, got.Body)
			}
		}
	}
}

// TestG09Revoke is G-09, A7: a key that waits for an operator ends nothing by
// /revoke either; where settings let it count, it does.
func TestG09Revoke(t *testing.T) {
	t.Parallel()
	for onChange, want := range map[string]int{"accept": 200, "reconsent": 200, "reapprove": 401, "deny": 401} {
		f := newFetchedKeys(t, `"document": {"on_change": "`+onChange+`"},`)
		f.serve(f.b)
		form := f.Asserted(f.b, client)
		form.Set("client_id", client)
		form.Set("token", fmt.Sprint(f.tokens["refresh_token"]))
		got := send(t, http.MethodPost, f.Issuer+"/revoke", form.Encode(), formHeader())
		if got.Status != want {
			t.Errorf("%s: revoke: %d %s, want %d", onChange, got.Status, got.Body, want)
		}
	}
}

// TestG09AtOnce is G-09: parallel requests that all see the keys replaced make
// one event and lose nothing.
func TestG09AtOnce(t *testing.T) {
	t.Parallel()
	f := newFetchedKeys(t, `"document": {"on_change": "accept"},`)
	var all []map[string]any
	for range 4 {
		all = append(all, keyedTokens(t, f.Server, f.a, client))
	}
	f.serve(f.b)
	var wg sync.WaitGroup
	for _, tokens := range all {
		a := f.Assertion(f.b, client, nil, nil)
		wg.Go(func() {
			if p := post(t, f.Server, keyedRefresh(tokens, client, a), nil); p.Status != http.StatusOK {
				t.Errorf("refresh: %d %s", p.Status, p.Body)
			}
		})
	}
	wg.Wait()
	f.has("afterwards", some(f.b), nil)
	if got := f.events(); len(got) != 1 {
		t.Errorf("%d events, want one", len(got))
	}
}

// TestCU16NoKeysForWhoIsKeptOut is CU-16, H-02, design §3: a client that is
// blocked, denied, named by no policy or switched off makes this server send
// nothing, at /token and at /revoke.
func TestCU16NoKeysForWhoIsKeptOut(t *testing.T) {
	t.Parallel()
	const named = `"` + client + `", `
	activate := func(change func(string) string) func(*fetchedKeys) {
		return func(f *fetchedKeys) {
			if err := f.Activate(map[string]string{"keyed.rego": change(keyedPolicy("")["keyed.rego"])}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		act    func(*fetchedKeys)
		reason broker.Reason
	}{
		{"blocked", func(f *fetchedKeys) {
			u := f.Store.Begin()
			u.PutBlock(broker.Block{Kind: broker.BlockURL, Value: client, Reason: "test", Actor: "operator", At: f.Clock.Now()})
			if err := f.Store.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}, broker.ReasonClientBlocked},
		{"its keys' host is blocked", func(f *fetchedKeys) {
			u := f.Store.Begin()
			u.PutBlock(broker.Block{Kind: broker.BlockURL, Value: keyedSet, Reason: "test", Actor: "operator", At: f.Clock.Now()})
			if err := f.Store.Commit(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}, broker.ReasonClientBlocked},
		{"denied", activate(func(s string) string {
			return s + "\ndeny contains {\"code\": \"no\", \"message\": \"not this one\"} if input.client.host == \"client.example.com\"\n"
		}), broker.ReasonPolicyDenied},
		{"named no more", activate(func(s string) string { return strings.Replace(s, named, "", 1) }), broker.ReasonNoPolicyMatched},
	} {
		for _, endpoint := range []string{"/token", "/revoke"} {
			f := newFetchedKeys(t, "")
			f.Clock.Advance(2 * time.Minute)
			c.act(f)
			before := f.Docs.Total()
			form := keyedRefresh(f.tokens, client, f.Assertion(f.a, client, nil, nil))
			form.Set("token", fmt.Sprint(f.tokens["refresh_token"]))
			got := send(t, http.MethodPost, f.Issuer+endpoint, form.Encode(), formHeader())
			wantJSON(t, f.Server, got, http.StatusBadRequest, "invalid_grant", c.reason)
			if hits := f.Docs.Total() - before; hits != 0 {
				t.Errorf("%s, %s: %d fetches, want none", c.name, endpoint, hits)
			}
		}
	}
}

// TestCU06ManyClientsOneSet is CU-06, B4: clients that name one foreign key set
// have it fetched once a minute together, however many keys it does not have.
func TestCU06ManyClientsOneSet(t *testing.T) {
	t.Parallel()
	const foreign = "https://keys.example.net/jwks.json"
	s := servertest.New(t, servertest.Options{Policy: keyedPolicy(`"jwks": {"same_origin": false},`), Hosts: []string{"client.example.com", "keys.example.net"}})
	good, strange := s.KeyAt(foreign, "ES256"), servertest.NewClientKey(t, "ES256", "strange")
	all := map[string]map[string]any{}
	for _, id := range []string{client, keyedOther} {
		s.Docs.Publish(id, keyedDocument(map[string]any{"jwks_uri": foreign}))
		all[id] = keyedTokens(t, s, good, id)
	}
	for i := range 6 {
		// One fetch a minute, and none in the last second before.
		s.Clock.Advance([]time.Duration{59 * time.Second, time.Second}[i%2])
		for range 3 {
			for id, tokens := range all {
				p := post(t, s, keyedRefresh(tokens, id, s.Assertion(strange, id, nil, nil)), nil)
				wantJSON(t, s, p, http.StatusUnauthorized, "invalid_client", broker.ReasonAssertionInvalid)
			}
		}
		if hits, want := s.Docs.Hits(foreign), 1+(i+1)/2; hits != want {
			t.Errorf("after %d half rounds: %d fetches, want %d", i+1, hits, want)
		}
	}
	none := s.Docs.Hits(foreign)
	s.Clock.Advance(time.Minute)
	for name, a := range map[string]string{
		"typ":   s.Assertion(good, client, map[string]any{"typ": "at+jwt"}, nil),
		"aud":   s.Assertion(good, client, nil, map[string]any{"aud": "https://other.example.com"}),
		"alg":   hmacWithPublicKey(t, good, s.Assertion(good, client, nil, nil)),
		"owner": s.Assertion(good, keyedOther, nil, nil),
	} {
		if p := post(t, s, keyedRefresh(all[client], client, a), nil); p.Status == http.StatusOK || s.Docs.Hits(foreign) != none {
			t.Errorf("%s: status %d, %d fetches for what no key makes good", name, p.Status, s.Docs.Hits(foreign)-none)
		}
	}
}

// privateNames answers every name with one private address.
type privateNames struct{}

func (privateNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("10.1.2.3")}, nil
}

// TestG18KeysByTheNetworkInForce is G-18, CU-08: a private range that policy
// has shut since is shut for the keys of grants that were made before.
func TestG18KeysByTheNetworkInForce(t *testing.T) {
	t.Parallel()
	const inside = "https://keys.example.net/jwks.json"
	open := keyedPolicy(`"jwks": {"same_origin": false}, "network": {"allow_cidrs": ["10.1.0.0/16"]}`)
	shut := keyedPolicy(`"jwks": {"same_origin": false}`)
	s := servertest.New(t, servertest.Options{Policy: open, Resolver: privateNames{}})
	s.Docs.Publish(client, keyedDocument(map[string]any{"jwks_uri": inside}))
	k := servertest.NewClientKey(t, "ES256", "k")
	p := s.Browser().Play(s.Request(client, nil))
	if err := s.Activate(shut); err != nil {
		t.Fatal(err)
	}
	if status, answer, _ := s.Token(s.Exchange(client, p, s.Asserted(k, client))); status != http.StatusUnauthorized {
		t.Fatalf("token: %d %v\n%s", status, answer, brief(p))
	}
	refused := s.Records(store.RecordQuery{Reason: string(broker.ReasonAssertionInvalid)})
	if len(refused) != 1 || !strings.Contains(refused[0].Detail, "not a global unicast address") {
		t.Errorf("records %+v, want the address refused before it is dialled", refused)
	}
}
