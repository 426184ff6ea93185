package admin

import (
	"context"
	"net/http"
	"net/url"

	"guestlist/broker"
)

// Version is one document of a client's history as operators see it.
type Version struct {
	broker.Version
	Published string `json:"published"` // the document, byte for byte
}

// History is the answer of /v1/clients/history.
type History struct {
	Versions []Version `json:"versions"` // newest first; the store bounds how many it keeps
}

// history answers /v1/clients/history.
func (a *api) history(ctx context.Context, q url.Values) (any, error) {
	id, err := idOf(q)
	if err != nil {
		return nil, err
	}
	list, err := a.cfg.Store.Versions(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fail(http.StatusNotFound, "no document of %.300q is kept; guestlist client list shows which clients there are", id)
	}
	out := History{Versions: make([]Version, len(list))}
	for i, v := range list {
		out.Versions[i] = Version{v, string(v.Published)}
	}
	return out, nil
}
