package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"guestlist/broker"
	"guestlist/store"
)

// grantsShown bounds the grants that one client is shown with.
const grantsShown = 100

// ClientDetail is the answer of /v1/clients/show: all that is known of one
// client. Its row, and what waits for approval, hold their documents.
type ClientDetail struct {
	ClientRow
	Waits      string         `json:"waits,omitempty"`  // the digest to approve, see broker.Client.Waits; empty: nothing waits
	Pin        *Pin           `json:"pin,omitempty"`    // nil: not pinned
	Blocks     []broker.Block `json:"blocks,omitempty"` // those that cover it
	LiveGrants int            `json:"live_grants"`      // grants of its life that have not ended
	Grants     []Grant        `json:"grants,omitempty"` // the newest of those that live, at most 100
}

// Pin is a pinned document as operators see it.
type Pin struct {
	SHA256    string    `json:"sha256"`
	Published string    `json:"published"` // the document, byte for byte
	Actor     string    `json:"actor"`     // who pinned, or approved last
	At        time.Time `json:"at"`
}

// Grant is what one person allowed, as operators see it.
type Grant struct {
	ID         string    `json:"grant_id"`
	Subject    string    `json:"subject"` // the person's username
	Scopes     []string  `json:"scopes"`
	Resources  []string  `json:"resources"`
	AuthMethod string    `json:"auth_method"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// showClient answers /v1/clients/show.
func (a *api) showClient(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	l, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	c, found, err := a.cfg.Store.Begin().Client(ctx, id)
	if err != nil {
		return nil, err
	}
	pin, isPinned := l.pin(id)
	var out ClientDetail
	switch {
	case found:
		out.ClientRow = l.row(c)
	case isPinned:
		out.ClientRow = l.pinned(pin)
	default:
		return nil, fail(http.StatusNotFound, "no client has the id %.300q; guestlist client list shows which there are", id)
	}
	out.Published, out.Waits = string(out.Client.Published), c.Waits()
	waits := c.Pending
	if isPinned {
		out.Pin, out.Waits, waits = &Pin{pin.SHA256, string(pin.Published), pin.Actor, pin.At}, "", pin.Pending
	}
	if waits != nil {
		out.Pending.Published = string(waits.Published)
	}
	if isPinned && waits != nil {
		out.Waits = waits.SHA256
	}
	out.Blocks = l.covering(out.Client)
	return out, a.addGrants(ctx, &out, l.now)
}

// addGrants fills in the grants of the client's life.
func (a *api) addGrants(ctx context.Context, out *ClientDetail, now time.Time) error {
	var err error
	if out.LiveGrants, err = a.cfg.Store.LiveGrants(ctx, out.ID, out.Incarnation); err != nil || out.LiveGrants == 0 {
		return err
	}
	list, err := a.cfg.Store.Grants(ctx, store.GrantQuery{ClientID: out.ID, Live: now, Limit: grantsShown})
	for _, g := range list {
		if g.Incarnation == out.Incarnation {
			out.Grants = append(out.Grants, Grant{g.ID, g.Subject, g.Scopes, g.Resources, g.AuthMethod, g.CreatedAt, g.LastUsedAt, g.ExpiresAt})
		}
	}
	return err
}
