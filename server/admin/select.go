package admin

import (
	"context"
	"net/url"

	"guestlist/broker"
	"guestlist/store"
)

// endPage is how many clients end in one commit.
const endPage = 100

// Reach is how much an act ends, or would end.
type Reach struct {
	Clients int `json:"clients"` // rows of clients
	Grants  int `json:"grants"`  // their grants that have not ended
}

// selection picks stored clients.
type selection struct {
	url  string // the only one that can fit; empty: any
	fits func(c broker.Client) bool
}

// selects is the selection of a filter.
func (l look) selects(f ClientFilter) selection {
	return selection{f.URL, func(c broker.Client) bool { return f.fits(l.row(c)) }}
}

// covered is the selection of a block.
func covered(b broker.Block) selection {
	if b.Kind == broker.BlockURL {
		return selection{b.Value, b.Covers}
	}
	return selection{"", b.Covers}
}

// reach answers /v1/clients/reach.
func (a *api) reach(ctx context.Context, q url.Values) (any, error) {
	f, err := clientFilter(q)
	if err != nil {
		return nil, err
	}
	l, err := a.look(ctx)
	if err != nil {
		return nil, err
	}
	var out Reach
	err = a.pages(ctx, l.selects(f), func(rows []broker.Client) error { return a.count(ctx, rows, &out) })
	return out, err
}

// count adds clients and their grants to out.
func (a *api) count(ctx context.Context, rows []broker.Client, out *Reach) error {
	for _, c := range rows {
		n, err := a.cfg.Store.LiveGrants(ctx, c.ID, c.Incarnation)
		if err != nil {
			return err
		}
		out.Clients, out.Grants = out.Clients+1, out.Grants+n
	}
	return nil
}

// pages calls fn with the stored clients that are selected, up to endPage at a
// time.
func (a *api) pages(ctx context.Context, s selection, fn func(rows []broker.Client) error) error {
	if s.url != "" {
		rows, err := s.again(ctx, a.cfg.Store.Begin(), []broker.Client{{ID: s.url}})
		if err != nil || len(rows) == 0 {
			return err
		}
		return fn(rows)
	}
	for after := ""; ; {
		rows, err := a.cfg.Store.Clients(ctx, store.ClientQuery{After: after, Limit: endPage})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		var fit []broker.Client
		for _, c := range rows {
			if s.fits(c) {
				fit = append(fit, c)
			}
		}
		if len(fit) == 0 {
			continue
		}
		if err := fn(fit); err != nil {
			return err
		}
	}
}

// again reads rows anew and returns those that are still selected.
func (s selection) again(ctx context.Context, u store.Unit, rows []broker.Client) ([]broker.Client, error) {
	var out []broker.Client
	for _, c := range rows {
		now, found, err := u.Client(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if found && s.fits(now) {
			out = append(out, now)
		}
	}
	return out, nil
}

// end ends the clients that are selected, one commit for each page, with what
// stage stages for them. On an error the pages before it have ended.
func (a *api) end(ctx context.Context, s selection, stage func(u store.Unit, rows []broker.Client) error) (Reach, error) {
	var out Reach
	err := a.pages(ctx, s, func(rows []broker.Client) error {
		var n Reach
		err := a.step(ctx, func(u store.Unit) error {
			now, err := s.again(ctx, u, rows)
			if n = (Reach{}); err != nil || len(now) == 0 {
				return err
			}
			if err := a.count(ctx, now, &n); err != nil {
				return err
			}
			return stage(u, now)
		})
		if err == nil {
			out.Clients, out.Grants = out.Clients+n.Clients, out.Grants+n.Grants
		}
		return err
	})
	return out, err
}
