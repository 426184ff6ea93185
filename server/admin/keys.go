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
	return a.renewKey(ctx, q, a.cfg.Rotate, "rotated", decisionlog.EventKeysRotated)
}

// destroyKey answers /v1/keys/destroy, in the same way.
func (a *api) destroyKey(ctx context.Context, q url.Values) (any, error) {
	return a.renewKey(ctx, q, a.cfg.Destroy, "destroyed", decisionlog.EventKeysDestroyed)
}

func (a *api) renewKey(ctx context.Context, q url.Values, act func(context.Context, string) error, done, event string) (any, error) {
	if act == nil {
		return nil, fail(http.StatusNotFound, "this server's keys cannot be %s", done)
	}
	purpose := q.Get("purpose")
	if purpose == "" {
		return nil, fail(http.StatusBadRequest, "parameter purpose is missing")
	}
	asked := fmt.Sprintf("%.40q", purpose)
	if event == decisionlog.EventKeysDestroyed {
		asked += ", and the old one destroyed"
	}
	if err := a.recordAct(ctx, decisionlog.EventKeysRotationAsked, asked); err != nil {
		return nil, err
	}
	r, u, err := a.actRecord(ctx, event)
	if err != nil {
		return nil, err
	}
	if err := act(ctx, purpose); err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "%s", err)
	}
	r.Detail = purpose
	if err := a.recordDone(ctx, u, r); err != nil {
		return nil, fmt.Errorf("the %s key is %s, but the record %s could not be written: %w", purpose, done, event, err)
	}
	return rotated{purpose}, nil
}
