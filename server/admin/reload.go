package admin

import (
	"context"
	"net/http"
	"net/url"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// reloaded is the answer of a reload that worked.
type reloaded struct {
	Revision string `json:"revision"` // the revision now active
}

// reload answers /v1/policies/reload. Who asked is recorded first: without
// the record nothing is done. What came of it is the next policy record.
func (a *api) reload(ctx context.Context, _ url.Values) (any, error) {
	if a.cfg.Reload == nil {
		return nil, fail(http.StatusNotFound, "this server cannot load its policies again")
	}
	if err := a.recordAct(ctx, "policy.reload_asked", ""); err != nil {
		return nil, err
	}
	if err := a.cfg.Reload(ctx); err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "reload: %s", err)
	}
	revision, err := a.cfg.Store.Begin().ActiveRevision(ctx)
	return reloaded{revision}, err
}

// recordAct commits the record of what an operator does; detail may be empty.
func (a *api) recordAct(ctx context.Context, event, detail string) error {
	u := a.cfg.Store.Begin()
	epoch, err := u.Epoch(ctx)
	if err != nil {
		return err
	}
	revision, err := u.ActiveRevision(ctx)
	if err != nil {
		return err
	}
	u.Append(decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: a.cfg.Now(), Event: event, Outcome: decisionlog.OutcomeDone,
		Revision: revision, Epoch: epoch, Actor: Actor(ctx), Detail: detail,
	})
	return a.cfg.Store.Commit(ctx, u)
}
