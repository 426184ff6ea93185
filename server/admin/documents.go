package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

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

// refresh answers /v1/clients/refresh. The fetch is made once, and is not
// repeated when its result conflicts with what others wrote meanwhile.
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
	if err = a.cfg.Store.Commit(ctx, u); errors.Is(err, broker.ErrConflict) {
		return nil, fail(http.StatusConflict, "the client changed while its document was fetched, and nothing was kept of it. Remedy: ask again in 30 s")
	}
	return out, err
}

// approve answers /v1/clients/approve.
func (a *api) approve(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	sha256 := strings.ToLower(q.Get("sha256"))
	if err := checkSelector(broker.BlockDocument, sha256); err != nil {
		return nil, err
	}
	var out broker.Approved
	err = a.step(ctx, func(u store.Unit) (err error) {
		out, err = a.cfg.Broker.Approve(ctx, u, Actor(ctx), id, sha256)
		return err
	})
	return out, err
}
