package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"guestlist/broker/export"
	"guestlist/server/admin"
	"guestlist/server/metrics"
	"guestlist/store"
	"guestlist/store/bolt"
)

// measure makes the metrics, before there is anything to count.
func (a *app) measure() (err error) {
	a.metrics, err = metrics.New(metrics.Config{Version: readVersion().Guestlist, Go: runtime.Version(), State: a.measured})
	return err
}

// committed counts a transaction of the store.
func (a *app) committed(c bolt.Committed) { a.metrics.Committed(c.Units, c.Took, c.Err) }

// readiness says how each part of the program is.
func (a *app) readiness(ctx context.Context) admin.Readiness {
	out := admin.Readiness{Ready: a.server.Ready(ctx) == nil}
	add := func(name string, worse admin.ComponentState, err error) {
		c := admin.Component{Name: name, State: admin.ComponentUp}
		if err != nil {
			c.State, c.Reason = worse, err.Error()
		}
		out.Components = append(out.Components, c)
	}
	trouble, state := a.storeTrouble()
	add("store", state, trouble)
	policies, state := a.policiesTrouble()
	add("policies", state, policies)
	add("facts", admin.ComponentDegraded, textError(a.factsProblem.Load()))
	add("keys", admin.ComponentDegraded, a.keys.Problem())
	add("people", admin.ComponentDegraded, a.people.Problem())
	add("log", admin.ComponentDown, a.batch.Failure())
	lags, err := a.exportLags(ctx)
	for _, l := range lags {
		add("exporter:"+l.Name, admin.ComponentDegraded, exportTrouble(l))
		out.Components[len(out.Components)-1].Lag = &l.Behind
	}
	if err != nil {
		add("exporters", admin.ComponentDegraded, err)
	}
	for _, w := range a.plan.webhooks {
		add(w.name, admin.ComponentDegraded, textError(w.problem.Load()))
		if lag, ok := a.webhookLag(ctx, w); ok {
			out.Components[len(out.Components)-1].Lag = &lag
		}
	}
	return out
}

// policiesTrouble says what is wrong with the policies, and how bad that is.
func (a *app) policiesTrouble() (error, admin.ComponentState) {
	if a.broker.Revision() == "" {
		return errors.New("no revision is active"), admin.ComponentDown
	}
	if p := a.refused.Load(); p != nil {
		return fmt.Errorf("the last good revision decides: %s", p.text), admin.ComponentDegraded
	}
	if err := a.maskTrouble(); err != nil {
		return err, admin.ComponentDegraded
	}
	return nil, admin.ComponentUp
}

// exportTrouble says since when an exporter's sink is not reached, nil where it
// is.
func exportTrouble(l export.Lag) error {
	if l.Problem == "" {
		return nil
	}
	return fmt.Errorf("since %s: %s", l.Since.UTC().Format(time.RFC3339), l.Problem)
}

// textError is the error that a text tells of, nil for none.
func textError(text *string) error {
	if text == nil {
		return nil
	}
	return errors.New(*text)
}

// webhookLag is how many records are behind what a webhook was told of.
func (a *app) webhookLag(ctx context.Context, w *webhook) (uint64, bool) {
	next, err := a.store.Begin().Cursor(ctx, w.name) // the place behind the last one
	if err != nil || next == 0 {
		return 0, false
	}
	last, err := store.Log{Store: a.store}.Last(ctx)
	return max(last+1, next) - next, err == nil
}

// measured is what a scrape asks for.
func (a *app) measured(ctx context.Context) metrics.State {
	have, err := a.store.Begin().ClientCount(ctx, "", nil)
	out := metrics.State{Clients: have.Total, ClientsKnown: err == nil, PolicyFailed: a.refused.Load() != nil}
	if in := a.active.Load(); in != nil {
		out.Policies, out.PolicyAt = len(in.set.Policies()), in.at
	}
	out.StoreFree, out.StoreFreeKnown = a.file.Free()
	for _, c := range a.readiness(ctx).Components {
		out.Components = append(out.Components, metrics.Component{Name: c.Name, Up: c.State == admin.ComponentUp})
		if c.Lag != nil {
			out.Lags = append(out.Lags, metrics.Lag{Exporter: strings.TrimPrefix(c.Name, "exporter:"), Records: *c.Lag})
		}
	}
	return out
}

// watching is what the listener for monitoring serves.
func (a *app) watching(loopback bool) (http.Handler, error) {
	return admin.NewWatch(admin.WatchConfig{Metrics: a.metrics.Handler(), Ready: a.readiness, Loopback: loopback})
}
