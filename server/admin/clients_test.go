package admin_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/server/admin"
	"guestlist/store"
)

// Clients of these tests.
const (
	agent    = "https://a.agents.example/client"
	other    = "https://b.agents.example:8443/client"
	partner  = "https://partner.example/client"
	standing = "https://pinned.example/client"
)

// digestOf is a SHA-256 in hex that begins with c.
func digestOf(c string) string { return c + strings.Repeat("0", 64-len(c)) }

// pinFor is an operator's document.
func pinFor(id string) broker.Pin {
	return broker.Pin{
		ID: id, SHA256: digestOf("9"), Actor: "root", At: noon,
		Published: []byte(`{"client_id":"` + id + `","client_name":"Pinned","redirect_uris":["` + id + `/cb"]}`),
	}
}

// crowd stores clients that differ in everything that can be selected.
func (e *env) crowd() {
	e.Helper()
	e.commit(func(u store.Unit) {
		a := row(agent)
		a.Policy, a.Tags, a.DocumentSHA256 = []string{"agents", "all"}, []string{"mcp", "vip"}, digestOf("a")
		a.Pending = &broker.Pending{Published: []byte("{}"), SHA256: digestOf("b"), SeenAt: noon, Changes: []string{"redirect_added"}}
		u.CreateClient(a)
		b := row(other)
		b.ExpiresAt = noon
		u.CreateClient(b)
		p := row(partner)
		p.WithdrawnAt, p.Tags = noon, []string{"mcp"}
		u.CreateClient(p)
		u.PutPin(pinFor(standing))
	})
}

// listed reads every page of a filter, two rows at a time.
func (e *env) listed(f admin.ClientFilter) []admin.ClientRow {
	e.Helper()
	var out []admin.ClientRow
	for after := ""; ; {
		page, err := e.client.Clients(context.Background(), f, after, 2)
		if err != nil || len(page.Clients) > 2 {
			e.Fatalf("Clients(%+v, %q) = %d rows, %v", f, after, len(page.Clients), err)
		}
		out = append(out, page.Clients...)
		if after = page.Next; after == "" {
			return out
		}
	}
}

// SN-20: the list of clients can be narrowed down.
func TestClientsByFilter(t *testing.T) {
	e := start(t, nil)
	e.crowd()
	for _, test := range []struct {
		name   string
		filter admin.ClientFilter
		want   []string
	}{
		{"all, pins without a row among them", admin.ClientFilter{}, []string{agent, other, partner, standing}},
		{"url", admin.ClientFilter{URL: agent}, []string{agent}},
		{"url prefix", admin.ClientFilter{URLPrefix: "https://p"}, []string{partner, standing}},
		{"host", admin.ClientFilter{Host: "a.agents.example"}, []string{agent}},
		{"host in capitals, whatever the port", admin.ClientFilter{Host: "B.Agents.Example"}, []string{other}},
		{"domain", admin.ClientFilter{Domain: "agents.example"}, []string{agent, other}},
		{"document", admin.ClientFilter{Document: digestOf("a")}, []string{agent}},
		{"document of a pin", admin.ClientFilter{Document: digestOf("9")}, []string{standing}},
		{"policy", admin.ClientFilter{Policy: "all"}, []string{agent}},
		{"label", admin.ClientFilter{Label: "mcp"}, []string{agent, partner}},
		{"registration", admin.ClientFilter{Registration: "cimd"}, []string{agent, other, partner}},
		{"pinned", admin.ClientFilter{Registration: "pinned"}, []string{standing}},
		{"pending", admin.ClientFilter{State: "pending"}, []string{agent}},
		{"expired", admin.ClientFilter{State: "expired"}, []string{other}},
		{"withdrawn", admin.ClientFilter{State: "withdrawn"}, []string{partner}},
		{"state pinned", admin.ClientFilter{State: "pinned"}, []string{standing}},
		{"both must fit", admin.ClientFilter{Label: "mcp", State: "withdrawn"}, []string{partner}},
		{"nothing fits", admin.ClientFilter{Label: "mcp", State: "live"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, row := range e.listed(test.filter) {
				got = append(got, row.ID)
			}
			if strings.Join(got, " ") != strings.Join(test.want, " ") {
				t.Errorf("Clients(%+v) = %q, want %q", test.filter, got, test.want)
			}
		})
	}
}

func TestClientFilterThatCanFitNothing(t *testing.T) {
	e := start(t, nil)
	for _, test := range []struct{ query, want string }{
		{"state=alive", `state "alive": want one of`},
		{"registration=dcr", `registration "dcr": want one of`},
		{"host=" + url.QueryEscape("https://a.example/x"), "without scheme, port and path, like a.example"},
		{"host=" + url.QueryEscape("a.example:8443"), "is no host name"},
		{"host=localhost", "is no host name"},
		{"domain=com", "is a public suffix"},
		{"domain=co.uk", "is a public suffix"},
		{"domain=github.io", "is a public suffix"},
		{"domain=a.agents.example", "write agents.example for all of it"},
		{"domain=" + url.QueryEscape("https://agents.example"), "without scheme, port and path, like agents.example"},
		{"document=abc", "want a SHA-256 digest, 64 characters"},
		{"document=" + digestOf("g"), "want a SHA-256 digest, 64 characters"},
		{"url=" + url.QueryEscape("http://a.example/x"), "must begin with https://"},
	} {
		status, _, text := e.raw("GET", "/v1/clients?"+test.query)
		if status != 400 || !strings.Contains(text, test.want) {
			t.Errorf("GET /v1/clients?%s = %d %q, want 400 and %q", test.query, status, text, test.want)
		}
	}
}

// A page that looks at more rows than one answer may has a next one, and
// nothing is lost on the way.
func TestClientsThatRarelyFit(t *testing.T) {
	e := start(t, nil)
	const rows = 10_500
	e.commit(func(u store.Unit) {
		for i := range rows {
			c := row("https://a.example/" + strconv.Itoa(100_000+i))
			if i == rows-300 {
				c.Tags = []string{"last"}
			}
			u.CreateClient(c)
		}
		u.PutPin(pinFor(standing))
	})
	page, err := e.client.Clients(context.Background(), admin.ClientFilter{Label: "last"}, "", 10)
	if err != nil || len(page.Clients) != 0 || page.Next == "" {
		t.Fatalf("Clients() = %d rows, next %q, %v, want none and a next page", len(page.Clients), page.Next, err)
	}
	if got := e.listed(admin.ClientFilter{Label: "last"}); len(got) != 1 {
		t.Errorf("every page of Clients() = %d rows, want 1", len(got))
	}
	if got := e.listed(admin.ClientFilter{Registration: "pinned"}); len(got) != 1 {
		t.Errorf("every page of pinned Clients() = %d rows, want 1", len(got))
	}
}

// Each state, and which is shown where several fit.
func TestStateOfAClient(t *testing.T) {
	pending := &broker.Pending{SHA256: digestOf("b"), SeenAt: noon}
	for _, test := range []struct {
		name string
		edit func(c *broker.Client)
		also func(u store.Unit)
		want admin.State
	}{
		{"live", func(*broker.Client) {}, nil, "live"},
		{"pending", func(c *broker.Client) { c.Pending = pending }, nil, "pending"},
		{"keys pending", func(c *broker.Client) { c.PendingKeys = []broker.KeyPrint{{ID: "k"}} }, nil, "pending"},
		{"pending beside its pin", func(*broker.Client) {}, func(u store.Unit) {
			p := pinFor(agent)
			p.Pending = pending
			u.PutPin(p)
		}, "pending"},
		{"withdrawn before pending", func(c *broker.Client) { c.Pending, c.WithdrawnAt = pending, noon }, nil, "withdrawn"},
		{"expired before withdrawn", func(c *broker.Client) { c.ExpiresAt, c.WithdrawnAt = noon, noon }, nil, "expired"},
		{"blocked before expired", func(c *broker.Client) { c.ExpiresAt = noon }, func(u store.Unit) {
			u.PutBlock(broker.Block{Kind: broker.BlockDomain, Value: "agents.example"})
		}, "blocked"},
		{"blocked by its document", func(c *broker.Client) { c.DocumentSHA256 = digestOf("a") }, func(u store.Unit) {
			u.PutBlock(broker.Block{Kind: broker.BlockDocument, Value: digestOf("a")})
		}, "blocked"},
		{"block of another", func(*broker.Client) {}, func(u store.Unit) {
			u.PutBlock(broker.Block{Kind: broker.BlockHost, Value: "b.agents.example"})
		}, "live"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := start(t, nil)
			c := row(agent)
			test.edit(&c)
			e.commit(func(u store.Unit) {
				u.CreateClient(c)
				if test.also != nil {
					test.also(u)
				}
			})
			if got := e.listed(admin.ClientFilter{}); len(got) != 1 || got[0].State != test.want {
				t.Errorf("Clients() = %+v, want one in state %s", got, test.want)
			}
		})
	}
}

func TestShowTellsAll(t *testing.T) {
	e := start(t, nil)
	e.crowd()
	if got, err := e.client.Show(context.Background(), agent); err != nil || got.Pending == nil || got.Pending.SHA256 != digestOf("b") || got.Pending.Published != "{}" || got.Waits != digestOf("b") {
		t.Errorf("Show() has pending %+v, %q to approve, %v, want the document that waits", got.Pending, got.Waits, err)
	}
	e.commit(func(u store.Unit) {
		pin := pinFor(agent)
		pin.Pending = &broker.Pending{SHA256: digestOf("e"), Published: []byte("{2}"), SeenAt: noon}
		u.PutPin(pin)
		u.PutBlock(broker.Block{Kind: broker.BlockHost, Value: "a.agents.example", Reason: "incident 7", Actor: "root", At: noon})
		u.PutGrant(store.Grant{ID: "g1", ClientID: agent, Incarnation: 7, Subject: "alice", Scopes: []string{"mcp:read"}, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)})
		u.PutGrant(store.Grant{ID: "g2", ClientID: agent, Incarnation: 6, Subject: "alice", CreatedAt: noon, ExpiresAt: noon.Add(time.Hour)})
	})
	got, err := e.client.Show(context.Background(), agent)
	if err != nil {
		t.Fatal(err)
	}
	if got.State != "blocked" || len(got.Blocks) != 1 || got.Blocks[0].Reason != "incident 7" {
		t.Errorf("Show() = %s, blocks %+v, want blocked for incident 7", got.State, got.Blocks)
	}
	if got.Pin == nil || got.Pin.Actor != "root" || !strings.Contains(got.Pin.Published, "Pinned") || !got.Pinned {
		t.Errorf("Show() has pin %+v, want root's", got.Pin)
	}
	if got.Pending == nil || got.Pending.SHA256 != digestOf("e") || got.Pending.Published != "{2}" || got.Waits != digestOf("e") {
		t.Errorf("Show() has pending %+v, %q to approve, want what waits beside the pin", got.Pending, got.Waits)
	}
	if got.LiveGrants != 1 || len(got.Grants) != 1 || got.Grants[0].ID != "g1" || got.Grants[0].Subject != "alice" {
		t.Errorf("Show() has %d live grants, %+v, want g1 of alice", got.LiveGrants, got.Grants)
	}
	pinned, err := e.client.Show(context.Background(), standing)
	if err != nil || pinned.State != "pinned" || pinned.Document.ClientName != "Pinned" || pinned.Domain != "pinned.example" || pinned.Published == "" {
		t.Errorf("Show(a pin without row) = %+v, %v", pinned, err)
	}
}

func TestHistoryOfDocuments(t *testing.T) {
	e := start(t, nil)
	e.commit(func(u store.Unit) {
		u.PutVersion(broker.Version{ClientID: agent, SHA256: "a", Published: []byte(`{"a":1}`), SeenAt: noon, From: "network"})
		u.PutVersion(broker.Version{ClientID: agent, SHA256: "b", Published: []byte(`{"a":2}`), SeenAt: noon.Add(time.Hour), From: "pin", Changes: []string{"cosmetic"}})
	})
	got, err := e.client.History(context.Background(), agent)
	if err != nil || len(got) != 2 || got[0].SHA256 != "b" || got[0].Published != `{"a":2}` || got[0].Changes[0] != "cosmetic" || got[1].From != "network" {
		t.Errorf("History() = %+v, %v, want b before a", got, err)
	}
	_, err = e.client.History(context.Background(), other)
	var r *admin.Refusal
	if !errors.As(err, &r) || r.Status != 404 || !strings.HasPrefix(r.Text, `no document of "`+other+`" is kept`) {
		t.Errorf("History(unknown) = %v, want 404", err)
	}
}

func TestBlocksAreListed(t *testing.T) {
	e := start(t, nil)
	if got, err := e.client.Blocks(context.Background()); err != nil || got == nil || len(got) != 0 {
		t.Errorf("Blocks() = %v, %v, want an empty list", got, err)
	}
	b := broker.Block{Kind: broker.BlockHost, Value: "a.example", Reason: "why", Actor: "root", At: noon}
	e.commit(func(u store.Unit) { u.PutBlock(b) })
	if got, err := e.client.Blocks(context.Background()); err != nil || len(got) != 1 || got[0] != b {
		t.Errorf("Blocks() = %+v, %v, want %+v", got, err, b)
	}
}
