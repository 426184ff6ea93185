package main

import (
	"context"
	"fmt"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/policies"
)

// reload loads the policies and makes them the active revision. On an error
// the last good revision stays in force, and status says so.
func (a *app) reload(ctx context.Context) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	set, notes, err := policies.Load(ctx, policies.Config{FS: a.plan.policies, Maxima: a.plan.maxima, Now: time.Now})
	if err == nil {
		u := a.store.Begin()
		err = a.broker.Activate(ctx, set, a.plan.source, u, func(ctx context.Context) error { return a.store.Commit(ctx, u) })
	}
	if err != nil {
		a.rejected(err)
		return fmt.Errorf("policies %s: %w", a.plan.source, err)
	}
	for _, n := range notes {
		a.log.Warn().Str("event", "policy.finding").Str("file", n.File).Int("line", n.Line).Str("code", n.Code).
			Str("remedy", n.Remedy).Msg(n.Message)
	}
	if len(set.Policies()) == 0 {
		a.log.Warn().Str("event", "policy.none").Str("source", a.plan.source).Msg("there is no policy: nobody is admitted, and clients that are met end")
	}
	a.set.Store(set)
	a.problem.Store(nil)
	a.log.Info().Str("event", "policy.activated").Str("revision", set.Revision()).Int("policies", len(set.Policies())).Str("source", a.plan.source).Send()
	return nil
}

// rejected notes that a revision was refused; the one in force goes on.
func (a *app) rejected(err error) {
	text := err.Error()
	a.problem.Store(&text)
	e := a.log.Error().Str("event", "policy.rejected").Str("source", a.plan.source)
	in := a.broker.Revision()
	if in == "" {
		e.Msg(text)
		return
	}
	e.Str("revision", in).Msg("the last good revision stays in force: " + text)
	a.batch.Add(decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: time.Now(), Event: "policy.rejected", Outcome: decisionlog.OutcomeRefused,
		Reason: string(broker.ReasonPolicyError), Path: broker.Contract, Revision: in, Detail: text,
	})
}
