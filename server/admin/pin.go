package admin

import (
	"context"
	"net/http"
	"net/url"

	"guestlist/store"
)

// pinned is the answer of an act about a pin that worked.
type pinned struct {
	ID string `json:"client_id"`
}

// pinClient answers /v1/clients/pin.
func (a *api) pinClient(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	document := q.Get("document")
	if document == "" {
		return nil, fail(http.StatusBadRequest, "the body is empty: send the document to pin")
	}
	return pinned{id}, a.step(ctx, func(u store.Unit) error { return a.cfg.Broker.PinClient(ctx, u, Actor(ctx), id, []byte(document)) })
}

// unpinClient answers /v1/clients/unpin.
func (a *api) unpinClient(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	return pinned{id}, a.step(ctx, func(u store.Unit) error { return a.cfg.Broker.UnpinClient(ctx, u, Actor(ctx), id) })
}

// idOf reads id=.
func idOf(q url.Values) (string, error) {
	if id := q.Get("id"); id != "" {
		return id, nil
	}
	return "", fail(http.StatusBadRequest, "parameter id is missing")
}
