package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/store"
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
	if err := a.recordAct(ctx, decisionlog.EventPolicyReloadAsked, ""); err != nil {
		return nil, err
	}
	if err := a.cfg.Reload(ctx); err != nil {
		return nil, fail(http.StatusUnprocessableEntity, "reload: %s", err)
	}
	revision, _, err := a.cfg.Store.Begin().ActiveRevision(ctx)
	return reloaded{revision}, err
}

// recordAct commits the record of what an operator does; detail may be empty.
func (a *api) recordAct(ctx context.Context, event, detail string) error {
	r, u, err := a.actRecord(ctx, event)
	if err != nil {
		return err
	}
	r.Detail = detail
	u.Append(r)
	return a.cfg.Store.Commit(ctx, u)
}

// recordDone commits on u the record of what took effect already. Where that
// fails the record is held for the batch: the act is not to be without it.
func (a *api) recordDone(ctx context.Context, u store.Unit, r decisionlog.Record) error {
	u.Append(r)
	err := a.cfg.Store.Commit(ctx, u)
	if err != nil && a.cfg.Later != nil {
		err = errors.Join(err, a.cfg.Later(r))
	}
	return err
}

// actRecord starts the record of what an operator does, and a unit for it.
func (a *api) actRecord(ctx context.Context, event string) (decisionlog.Record, store.Unit, error) {
	u := a.cfg.Store.Begin()
	epoch, err := u.Epoch(ctx)
	if err != nil {
		return decisionlog.Record{}, nil, err
	}
	revision, _, err := u.ActiveRevision(ctx)
	return decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: a.cfg.Now(), Event: event, Outcome: decisionlog.OutcomeDone,
		Revision: revision, Epoch: epoch, Actor: Actor(ctx), RequestID: broker.RequestOf(ctx),
	}, u, err
}
