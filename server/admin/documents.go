package admin

import (
	"context"
	"net/url"

	"guestlist/broker"
	"guestlist/store"
)

// Preview is the answer of /v1/clients/preview.
type Preview struct {
	broker.Preview
	Published string `json:"published"` // the document, byte for byte; empty without one
}

// preview answers /v1/clients/preview: the document is fetched as for a flow,
// and nothing is kept of it.
func (a *api) preview(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	p, err := a.cfg.Broker.Preview(ctx, a.cfg.Store.Begin(), id)
	return Preview{p, string(p.Published)}, err
}

// refresh answers /v1/clients/refresh. The fetch is made once: when its result
// cannot be written the operator is told.
func (a *api) refresh(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	u := a.cfg.Store.Begin()
	out, err := a.cfg.Broker.Refetch(ctx, u, Actor(ctx), id)
	if err != nil || u.Empty() {
		return out, err
	}
	return out, a.cfg.Store.Commit(ctx, u)
}

// approve answers /v1/clients/approve.
func (a *api) approve(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	if err := checkSelector(broker.BlockDocument, q.Get("sha256")); err != nil {
		return nil, err
	}
	var out broker.Approved
	err = a.step(ctx, func(u store.Unit) (err error) {
		out, err = a.cfg.Broker.Approve(ctx, u, Actor(ctx), id, q.Get("sha256"))
		return err
	})
	return out, err
}
