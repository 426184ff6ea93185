package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/policies"
)

// inForce is the revision that decides.
type inForce struct {
	set   *policies.Set
	notes []policies.Finding // its warnings
	at    time.Time          // when this process put it in force
	by    string             // what for: see reload
}

// refusedLoad is the last load, which was refused.
type refusedLoad struct {
	text  string
	found []policies.Finding // warnings among them; empty when no file is to blame
	at    time.Time
	by    string
}

// reload loads the policies and makes them the active revision, with the facts
// as their file has them now. On an error
// the last good revision stays in force, and status says so. by says what it
// is done for: start, watch, SIGHUP or the operator who asked.
func (a *app) reload(ctx context.Context, by string) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	first := a.active.Load() == nil
	if by == byWatch && treeState(a.plan.policies) == a.tree {
		return nil // what the watcher told of was read already
	}
	set, notes, tree, err := loadSettled(ctx, policies.Config{FS: a.plan.policies, Maxima: a.plan.maxima, Now: time.Now}, first)
	a.tree = tree
	before := a.broker.Revision()
	var values map[string]any
	if err == nil {
		set, values, err = a.equip(ctx, set)
	} else {
		a.renewLocked(ctx) // a freeze does not wait until the policies are mended
	}
	if err == nil {
		err = a.activate(ctx, set, values, actorOf(by))
	}
	if err != nil {
		a.rejected(ctx, err, notes, by)
		return fmt.Errorf("policies %s: %w", a.plan.source, err)
	}
	a.activated(ctx, &inForce{set, notes, time.Now(), by}, before)
	return nil
}

// Reloads that nobody asked for.
const (
	byStart = "start"
	byWatch = "watch"
)

// actorOf is the actor of a reload in records: at a start there is none.
func actorOf(by string) string {
	if by == byStart {
		return ""
	}
	return by
}

// activated notes that a revision decides, which may be the one that did
// before.
func (a *app) activated(ctx context.Context, now *inForce, before string) {
	set, source := now.set, a.plan.source
	troubled := a.refused.Swap(nil) != nil
	if was := a.active.Load(); was != nil && set.Revision() == before {
		now.at, now.by = was.at, was.by
		a.active.Store(now)
		asked(ctx, a.log.Info().Str("event", "policy.unchanged")).Str("revision", before).Str("source", source).Bool("mended", troubled).Send()
		return
	}
	for _, n := range now.notes {
		a.log.Warn().Str("event", "policy.finding").Str("file", n.File).Int("line", n.Line).Str("code", n.Code).
			Str("remedy", n.Remedy).Msg(n.Message)
	}
	if len(set.Policies()) == 0 {
		a.log.Warn().Str("event", "policy.none").Str("source", source).Msg("there is no policy: nobody is admitted, and clients that are met end")
	}
	a.active.Store(now)
	asked(ctx, a.log.Info().Str("event", "policy.activated")).Str("revision", set.Revision()).Int("policies", len(set.Policies())).Str("source", source).Str("by", now.by).Send()
}

// rejected notes that a revision was refused; the one in force goes on. The
// same trouble once more is neither logged nor recorded.
func (a *app) rejected(ctx context.Context, err error, found []policies.Finding, by string) {
	now := &refusedLoad{err.Error(), found, time.Now(), by}
	if was := a.refused.Swap(now); was != nil && was.text == now.text {
		return
	}
	e := asked(ctx, a.log.Error().Str("event", "policy.rejected")).Str("source", a.plan.source)
	in := a.broker.Revision()
	if in == "" {
		e.Msg(now.text)
		return
	}
	e.Str("revision", in).Msg("the last good revision stays in force: " + now.text)
	a.batch.Add(decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: now.at, Event: decisionlog.EventPolicyRejected, Outcome: decisionlog.OutcomeRefused,
		Reason: string(broker.ReasonPolicyError), Path: broker.Contract, Revision: in, Actor: actorOf(by), RequestID: broker.RequestOf(ctx), Detail: now.text,
	})
}

// asked names in a line the operator's request that it tells of, if there is
// one.
func asked(ctx context.Context, e *zerolog.Event) *zerolog.Event {
	if id := broker.RequestOf(ctx); id != "" {
		e.Str("request_id", id)
	}
	return e
}
