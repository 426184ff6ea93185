package admin

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"guestlist/broker"
	"guestlist/store"
)

// pageMax bounds one answer that lists rows, pageDefault is without limit=;
// scanMax bounds how many rows are looked at for one answer.
const (
	pageMax     = 1000
	pageDefault = 100
	scanMax     = 10_000
)

// ClientRow is a client as operators see it: a stored one, or one that is
// pinned and was never met, of which only what the pin says is known.
type ClientRow struct {
	broker.Client
	Published string   `json:"published,omitempty"` // the document as fetched, byte for byte; empty in lists
	Pending   *Waiting `json:"pending,omitempty"`   // a changed document that waits for an operator; nil: none
	State     State    `json:"state"`
	Pinned    bool     `json:"pinned"`  // an operator pinned its document: nothing is fetched for its next flow
	Expired   bool     `json:"expired"` // its life is over; it is deleted when next met
}

// Waiting is a document that waits for an operator's approval.
type Waiting struct {
	broker.Pending
	Published string `json:"published,omitempty"` // byte for byte; empty in lists
}

// ClientPage is one answer of /v1/clients. A page may be short, or empty, and
// still have a next one: how many rows one answer looks at is bounded.
type ClientPage struct {
	Clients []ClientRow `json:"clients"`
	Next    string      `json:"next,omitempty"` // after= of the next page; empty at the end
}

// listClients answers /v1/clients.
func (a *api) listClients(ctx context.Context, q url.Values) (any, error) {
	limit, err := limitOf(q)
	if err != nil {
		return nil, err
	}
	f, err := clientFilter(q)
	if err != nil {
		return nil, err
	}
	l, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	return l.page(ctx, f, q.Get("after"), limit)
}

// page collects up to limit rows behind after, without their documents.
func (l look) page(ctx context.Context, f ClientFilter, after string, limit int) (ClientPage, error) {
	page := ClientPage{Clients: []ClientRow{}}
	step := limit
	if f != (ClientFilter{}) {
		step = pageMax
	}
	for seen := 0; seen < scanMax; seen += step {
		rows, err := l.store.Clients(ctx, store.ClientQuery{After: after, Limit: step})
		if err != nil {
			return page, err
		}
		last := len(rows) < step
		for _, row := range l.withPins(rows, after, last) {
			after = row.ID
			if !f.fits(row) {
				continue
			}
			row.Client.Published = nil
			page.Clients = append(page.Clients, row)
			if len(page.Clients) == limit {
				page.Next = after
				return page, nil
			}
		}
		if last {
			return page, nil
		}
	}
	page.Next = after
	return page, nil
}

// withPins shows rows, which are all that there are behind after up to the
// last of them, and the pins among them that have no row; with last the pins
// behind them too.
func (l look) withPins(rows []broker.Client, after string, last bool) []ClientRow {
	out := make([]ClientRow, 0, len(rows))
	pins := l.pins
	for len(pins) > 0 && pins[0].ID <= after {
		pins = pins[1:]
	}
	for _, c := range rows {
		for len(pins) > 0 && pins[0].ID < c.ID {
			out, pins = append(out, l.pinned(pins[0])), pins[1:]
		}
		if len(pins) > 0 && pins[0].ID == c.ID {
			pins = pins[1:]
		}
		out = append(out, l.row(c))
	}
	for ; last && len(pins) > 0; pins = pins[1:] {
		out = append(out, l.pinned(pins[0]))
	}
	return out
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
