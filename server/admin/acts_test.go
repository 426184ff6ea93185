package admin_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
	"guestlist/server/admin"
	"guestlist/store"
)

// willing is a policy that lets every client in.
type willing struct{}

func (willing) Decide(_ context.Context, q broker.Query) broker.Decision {
	s := broker.StrictSettings()
	s.Scopes.Ceiling = []string{"mcp:read"}
	d := broker.Decision{Phase: q.Input.Phase, Allowed: true, Winner: []string{"all"}, Settings: s}
	if q.Document != nil {
		for _, uri := range q.Document.RedirectURIs {
			d.Redirects = append(d.Redirects, cimd.Redirect{URI: uri, Kind: "https"})
		}
	}
	return d
}
func (willing) Revision() string      { return "rev-1" }
func (willing) Bundle() broker.Bundle { return broker.Bundle{} }
func (willing) Engine() string        { return "fake" }
func (willing) Facts() map[string]any { return map[string]any{} }

func (willing) Claims() ([]string, bool) { return nil, false }

// host serves one document for every client.
type host struct {
	body  string
	hits  int
	later int // records that the broker left for a batch
}

func (h *host) Document(_ context.Context, _ cimd.ID, lim fetch.Limits, _ fetch.Held) (fetch.Document, error) {
	h.hits++
	if h.body == "" {
		return fetch.Document{}, &fetch.Error{Reason: string(broker.ReasonFetchDNS), Detail: "no such host", Transient: true}
	}
	return fetch.Document{Body: []byte(h.body), FetchedAt: noon, FreshFor: lim.Default}, nil
}

// acting serves the API with a broker; the host has no document at first.
func acting(t *testing.T, edits ...func(*admin.Config)) (*env, *host) {
	t.Helper()
	h := &host{}
	var b *broker.Broker
	e := start(t, func(c *admin.Config) {
		var err error
		b, err = broker.New(broker.Config{
			Issuer: "https://as.example", Fetch: h, Now: c.Now, Later: func(decisionlog.Record) error { h.later++; return nil },
			Pseudonym: func(s string) string { return s },
			Offer:     broker.Offer{GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, AuthMethods: []string{"none"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		u := c.Store.Begin()
		if err := b.Activate(context.Background(), willing{}, "test", "", u, func(ctx context.Context) error { return c.Store.Commit(ctx, u) }); err != nil {
			t.Fatal(err)
		}
		c.Broker = b
		for _, edit := range edits {
			edit(c)
		}
	})
	e.broker = b
	return e, h
}

// granted stores clients of one host with one grant each.
func (e *env) granted(host string, n int) {
	e.Helper()
	e.commit(func(u store.Unit) {
		for i := range n {
			c := row("https://" + host + "/" + strconv.Itoa(1000+i))
			c.Tags = []string{"mcp"}
			u.CreateClient(c)
			u.PutGrant(store.Grant{ID: c.ID, ClientID: c.ID, Incarnation: 7, Subject: "alice", CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)})
		}
	})
}

// events lists the acts in the log: event, actor, count.
func (e *env) events() string {
	e.Helper()
	seen := map[string]int{}
	var order []string
	for _, r := range e.records() {
		if r.Actor == "" {
			continue
		}
		if r.Actor != me(e.T) {
			e.Errorf("record %s has the actor %q, want %q", r.Event, r.Actor, me(e.T))
		}
		name := r.Event
		if r.Count != 0 {
			name += fmt.Sprintf("(%d)", r.Count)
		}
		if seen[name]++; seen[name] == 1 {
			order = append(order, name)
		}
	}
	for i, name := range order {
		order[i] = fmt.Sprintf("%s:%d", name, seen[name])
	}
	return strings.Join(order, " ")
}

// H-02, H-03, H-10: a block ends what it covers, page by page, and nothing
// else; what it ended stays ended when it is taken back.
func TestBlockEndsWhatItCovers(t *testing.T) {
	e, _ := acting(t)
	ctx := context.Background()
	e.granted("a.agents.example", 150)
	e.granted("partner.example", 2)
	foreseen, err := e.client.Reach(ctx, admin.ClientFilter{Host: "a.agents.example"})
	if want := (admin.Reach{Clients: 150, Grants: 150}); err != nil || foreseen != want {
		t.Fatalf("Reach() = %+v, %v, want %+v", foreseen, err, want)
	}
	if e.events() != "" || len(e.listed(admin.ClientFilter{State: "blocked"})) != 0 {
		t.Errorf("Reach() changed something: %s", e.events())
	}
	got, err := e.client.Block(ctx, broker.Block{Kind: broker.BlockHost, Value: "A.agents.example", Reason: "incident 7"})
	if err != nil || got != foreseen {
		t.Errorf("Block() = %+v, %v, want %+v", got, err, foreseen)
	}
	if left := e.listed(admin.ClientFilter{}); len(left) != 2 {
		t.Errorf("%d clients are left, want the 2 of another host", len(left))
	}
	for _, id := range []string{"https://a.agents.example/1000", "https://a.agents.example/1149"} {
		if n, err := e.store.LiveGrants(ctx, id, 7); err != nil || n != 0 {
			t.Errorf("%s has %d live grants, %v, want none", id, n, err)
		}
	}
	if blocks, err := e.client.Blocks(ctx); err != nil || len(blocks) != 1 || blocks[0].Reason != "incident 7" || blocks[0].Actor != me(t) || blocks[0].Value != "a.agents.example" {
		t.Errorf("Blocks() = %+v, %v", blocks, err)
	}
	if want := "client.blocked:1 client.pruned:150"; e.events() != want {
		t.Errorf("acts = %s, want %s", e.events(), want)
	}
	if n, err := e.client.Unblock(ctx, broker.BlockHost, "a.agents.example"); err != nil || n != (admin.Reach{}) {
		t.Errorf("Unblock() = %+v, %v, want nothing left to end", n, err)
	}
	if blocks, err := e.client.Blocks(ctx); err != nil || len(blocks) != 0 {
		t.Errorf("Blocks() after Unblock() = %+v, %v", blocks, err)
	}
	if want := "client.blocked:1 client.pruned:150 client.unblocked:1"; e.events() != want {
		t.Errorf("acts = %s, want %s", e.events(), want)
	}
}

// What a block covers and did not end, as when the server stopped half way,
// ends before the block is taken back.
func TestUnblockEndsWhatIsLeft(t *testing.T) {
	e, _ := acting(t)
	e.granted("a.example", 1)
	e.commit(func(u store.Unit) {
		u.PutBlock(broker.Block{Kind: broker.BlockURL, Value: "https://a.example/1000", Actor: "root"})
	})
	n, err := e.client.Unblock(context.Background(), broker.BlockURL, "https://a.example/1000")
	if want := (admin.Reach{Clients: 1, Grants: 1}); err != nil || n != want {
		t.Errorf("Unblock() = %+v, %v, want %+v", n, err, want)
	}
	if left := e.listed(admin.ClientFilter{}); len(left) != 0 {
		t.Errorf("%d clients are left, want none", len(left))
	}
}

// G-07, H-10: revoking ends what is selected, with a count in the log.
func TestRevokeByFilter(t *testing.T) {
	for _, test := range []struct {
		name   string
		filter admin.ClientFilter
		want   int
	}{
		{"host", admin.ClientFilter{Host: "a.agents.example"}, 120},
		{"domain", admin.ClientFilter{Domain: "agents.example"}, 121},
		{"url", admin.ClientFilter{URL: "https://a.agents.example/1000"}, 1},
		{"policy", admin.ClientFilter{Policy: "p"}, 122},
		{"label", admin.ClientFilter{Label: "mcp"}, 122},
		{"nobody", admin.ClientFilter{Label: "vip"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, _ := acting(t)
			e.granted("a.agents.example", 120)
			e.granted("b.agents.example", 1)
			e.granted("partner.example", 1)
			got, err := e.client.Revoke(context.Background(), test.filter, "leaked")
			if want := (admin.Reach{Clients: test.want, Grants: test.want}); err != nil || got != want {
				t.Errorf("Revoke() = %+v, %v, want %+v", got, err, want)
			}
			if left := e.listed(admin.ClientFilter{}); len(left) != 122-test.want {
				t.Errorf("%d clients are left, want %d", len(left), 122-test.want)
			}
			want := ""
			if test.want > 0 {
				want = fmt.Sprintf("client.revoked:%d clients.revoked(%[1]d):1", test.want)
			}
			if e.events() != want {
				t.Errorf("acts = %s, want %s", e.events(), want)
			}
			if records := e.records(); test.want > 0 {
				last := records[len(records)-1]
				if last.Reason != "client_revoked" || !strings.HasSuffix(last.Detail, "grants: leaked") || !strings.HasPrefix(last.Detail, test.name+" ") {
					t.Errorf("last record = %+v, want what was selected, how much, and why", last)
				}
			}
		})
	}
}

// document is a document that can be pinned.
func document(id, redirect string) []byte {
	return []byte(`{"client_id":"` + id + `","client_name":"Pinned","client_uri":"` + id + `","redirect_uris":["` + redirect + `"],"response_types":["code"]}`)
}

// SN-03, SN-04: an operator's document is stored for a client, exactly as it
// was given.
func TestPinAndUnpin(t *testing.T) {
	e, h := acting(t)
	ctx := context.Background()
	doc := document(standing, standing+"/cb")
	if err := e.client.Pin(ctx, standing, doc); err != nil {
		t.Fatalf("Pin() = %v", err)
	}
	got, err := e.client.Show(ctx, standing)
	if err != nil || got.Pin == nil || got.Pin.Published != string(doc) || got.Pin.Actor != me(t) || got.State != "pinned" {
		t.Errorf("Show() = %+v, %v, want the pin", got, err)
	}
	if v, err := e.client.History(ctx, standing); err != nil || len(v) != 1 || v[0].From != "pin" {
		t.Errorf("History() = %+v, %v, want the pinned document", v, err)
	}
	if err := e.client.Unpin(ctx, standing); err != nil {
		t.Errorf("Unpin() = %v", err)
	}
	if _, err := e.client.Show(ctx, standing); err == nil {
		t.Errorf("Show() after Unpin() = nil, want an error")
	}
	if want := "document.pinned:1 document.unpinned:1"; e.events() != want || h.hits != 0 {
		t.Errorf("acts = %s and %d fetches, want %s and none", e.events(), h.hits, want)
	}
}

func TestActsThatAreRefused(t *testing.T) {
	e, _ := acting(t)
	e.granted("a.example", 1)
	ctx := context.Background()
	before := len(e.records())
	block := func(kind broker.BlockKind, value, reason string) error {
		_, err := e.client.Block(ctx, broker.Block{Kind: kind, Value: value, Reason: reason})
		return err
	}
	unblock := func(kind broker.BlockKind, value string) error {
		_, err := e.client.Unblock(ctx, kind, value)
		return err
	}
	revoke := func(f admin.ClientFilter, why string) error { _, err := e.client.Revoke(ctx, f, why); return err }
	for _, test := range []struct {
		name   string
		err    error
		status int
		text   string
	}{
		{"block without reason", block("host", "a.example", " "), 400, "say why"},
		{"block with an endless reason", block("host", "a.example", strings.Repeat("x", 501)), 400, "at most 500"},
		{"block of a URL as host", block("host", "https://a.example/x", "why"), 400, "like a.example"},
		{"block of a public suffix", block("domain", "co.uk", "why"), 400, "public suffix"},
		{"block of a short digest", block("document", "abc", "why"), 400, "64 characters"},
		{"block of no identifier", block("url", "http://a.example/1000", "why"), 400, "must begin with https://"},
		{"block of an opaque identifier", block("url", "mobile", "why"), 400, "mobile"},
		{"block of nothing", block("", "a.example", "why"), 400, "want url, host, domain or document"},
		{"unblock what is not blocked", unblock("host", "a.example"), 404, "client blocks lists"},
		{"revoke all", revoke(admin.ClientFilter{}, ""), 400, "nothing is selected"},
		{"revoke by a wrong host", revoke(admin.ClientFilter{Host: "a.example/x"}, ""), 400, "no host name"},
		{"revoke with an endless why", revoke(admin.ClientFilter{Host: "a.example"}, strings.Repeat("x", 501)), 400, "at most 500"},
		{"pin of nothing", e.client.Pin(ctx, standing, nil), 400, "the body is empty"},
		{"pin of what is no document", e.client.Pin(ctx, standing, []byte("x")), 422, "document_not_json"},
		{"pin of another's document", e.client.Pin(ctx, standing, document(agent, agent)), 422, "document_client_id_mismatch"},
		{"pin of a document that lacks members", e.client.Pin(ctx, standing, []byte(`{"client_id":"`+standing+`","client_name":"x","redirect_uris":["`+standing+`"]}`)), 422, "client_uri, response_types"},
		{"pin of more than fits", e.client.Pin(ctx, standing, make([]byte, 70_000)), 413, "65536 bytes"},
		{"unpin what is not pinned", e.client.Unpin(ctx, standing), 400, "is not pinned"},
	} {
		var r *admin.Refusal
		if !errors.As(test.err, &r) || r.Status != test.status || !strings.Contains(r.Text, test.text) {
			t.Errorf("%s = %v, want %d and %q", test.name, test.err, test.status, test.text)
		}
	}
	if after := len(e.records()); after != before || len(e.listed(admin.ClientFilter{State: "live"})) != 1 {
		t.Errorf("refused acts left %d records or ended the client", after-before)
	}
}

// moving is a store in which the epoch grows before the first commits of each
// act.
type moving struct {
	store.Store
	times int
}

func (m *moving) Commit(ctx context.Context, u store.Unit) error {
	if m.times > 0 {
		m.times--
		move := m.Store.Begin()
		move.DropBlock(broker.BlockHost, "nobody.example")
		if err := m.Store.Commit(ctx, move); err != nil {
			return err
		}
	}
	return m.Store.Commit(ctx, u)
}

// An act whose ground moved is run again, at most three times in all.
func TestActsAreRunAgain(t *testing.T) {
	for moves, status := range map[int]int{0: 200, 2: 200, 3: 409} {
		e, _ := acting(t)
		e.granted("a.example", 1)
		m := &moving{Store: e.store}
		e2 := start(t, func(c *admin.Config) { c.Store, c.Broker = m, e.broker })
		m.times = moves
		_, err := e2.client.Revoke(context.Background(), admin.ClientFilter{Host: "a.example"}, "")
		var r *admin.Refusal
		if status == 200 && err != nil || status != 200 && (!errors.As(err, &r) || r.Status != status) {
			t.Errorf("Revoke() while the epoch moves %d times = %v, want %d", moves, err, status)
		}
	}
}

// relabelled is a store whose lists are older than its rows.
type relabelled struct{ store.Store }

func (r relabelled) Clients(ctx context.Context, q store.ClientQuery) ([]broker.Client, error) {
	rows, err := r.Store.Clients(ctx, q)
	for i := range rows {
		rows[i].Tags = []string{"vip"}
	}
	return rows, err
}

// What does not fit any more when it is to end goes on.
func TestActsLookAgain(t *testing.T) {
	e, _ := acting(t)
	e.granted("a.example", 1)
	e2 := start(t, func(c *admin.Config) { c.Store, c.Broker = relabelled{e.store}, e.broker })
	got, err := e2.client.Revoke(context.Background(), admin.ClientFilter{Label: "vip"}, "")
	if err != nil || got != (admin.Reach{}) || len(e.listed(admin.ClientFilter{})) != 1 {
		t.Errorf("Revoke() of what does not fit any more = %+v, %v, want nothing", got, err)
	}
}

func TestServerWithoutABroker(t *testing.T) {
	e := start(t, nil)
	for _, target := range []string{"block?kind=host&value=a.example&reason=x", "unblock?kind=host&value=a.example", "revoke?host=a.example", "pin?id=x", "unpin?id=x"} {
		if status, _, text := e.raw("POST", "/v1/clients/"+target); status != 404 || !strings.Contains(text, "takes no acts") {
			t.Errorf("POST /v1/clients/%s = %d %q, want 404", target, status, text)
		}
	}
}
