package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"guestlist/broker/decisionlog"
)

// rotated is the answer of a rotation that worked.
type rotated struct {
	Purpose string `json:"purpose"` // of the key that is published now
}

// rotate answers /v1/keys/rotate. Who asked is recorded first: without the
// record nothing is done. That it worked is a second record, so that the log
// never tells of a rotation that failed.
func (a *api) rotate(ctx context.Context, q url.Values) (any, error) {
	if a.cfg.Rotate == nil {
		return nil, fail(http.StatusNotFound, "this server cannot rotate its keys")
	}
	purpose := q.Get("purpose")
	if purpose == "" {
		return nil, fail(http.StatusBadRequest, "parameter purpose is missing")
	}
	if err := a.recordAct(ctx, decisionlog.EventKeysRotationAsked, fmt.Sprintf("%.40q", purpose)); err != nil {
		return nil, err
	}
	r, u, err := a.actRecord(ctx, decisionlog.EventKeysRotated)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Rotate(ctx, purpose); err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "%s", err)
	}
	r.Detail = purpose
	if err := a.recordDone(ctx, u, r); err != nil {
		return nil, fmt.Errorf("the %s key is rotated, but the record keys.rotated could not be written: %w", purpose, err)
	}
	return rotated{purpose}, nil
}
