package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"guestlist/broker"
	"guestlist/store"
)

// pageMax bounds one answer that lists rows, pageDefault is without limit=.
const (
	pageMax     = 1000
	pageDefault = 100
)

// ClientRow is a client as operators see it.
type ClientRow struct {
	broker.Client
	Published string `json:"published,omitempty"` // the document as fetched, byte for byte; empty in lists
	Expired   bool   `json:"expired"`             // its life is over; it is deleted when next met
}

// ClientPage is one answer of /v1/clients.
type ClientPage struct {
	Clients []ClientRow `json:"clients"`
	Next    string      `json:"next,omitempty"` // after= of the next page; empty at the end
}

// row shows a client without its document's bytes.
func (a *api) row(c broker.Client) ClientRow {
	return ClientRow{Client: c, Expired: c.Expired(a.cfg.Now())}
}

// listClients answers /v1/clients.
func (a *api) listClients(ctx context.Context, q url.Values) (any, error) {
	limit, err := limitOf(q)
	if err != nil {
		return nil, err
	}
	rows, err := a.cfg.Store.Clients(ctx, store.ClientQuery{After: q.Get("after"), Limit: limit})
	if err != nil {
		return nil, err
	}
	page := ClientPage{Clients: make([]ClientRow, 0, len(rows))}
	for _, c := range rows {
		page.Clients = append(page.Clients, a.row(c))
	}
	if len(rows) == limit {
		page.Next = rows[len(rows)-1].ID
	}
	return page, nil
}

// showClient answers /v1/clients/show.
func (a *api) showClient(ctx context.Context, q url.Values) (any, error) {
	id := q.Get("id")
	if id == "" {
		return nil, fail(http.StatusBadRequest, "parameter id is missing")
	}
	c, found, err := a.cfg.Store.Begin().Client(ctx, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fail(http.StatusNotFound, "no client has the id %.300q; guestlist client list shows which there are", id)
	}
	row := a.row(c)
	row.Published = string(c.Published)
	return row, nil
}

// limitOf reads limit=.
func limitOf(q url.Values) (int, error) {
	s := q.Get("limit")
	if s == "" {
		return pageDefault, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > pageMax {
		return 0, fail(http.StatusBadRequest, "limit %.40q: want a number from 1 to %d", s, pageMax)
	}
	return n, nil
}
