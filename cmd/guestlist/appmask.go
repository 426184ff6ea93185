package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"guestlist/broker/decisionlog"
	"guestlist/policies"
)

// unmasked are the records that could not be masked under one revision.
type unmasked struct {
	revision string
	first    string // why the first could not
	since    time.Time
	records  atomic.Int64
}

// mask is what the store is given of a record: see [policies.Set.Mask]. The
// mask in force when a record is written counts, also for one that was held in
// a batch; at the start that is the one about to be activated.
func (a *app) mask(r decisionlog.Record) decisionlog.Record {
	set := a.masking.Load()
	if set == nil {
		return r
	}
	r, err := set.Mask(context.Background(), r)
	if err != nil {
		a.withheld(set, r)
	}
	return r
}

// withheld notes a record that is written without its body, in the log once
// for each revision.
func (a *app) withheld(set *policies.Set, r decisionlog.Record) {
	was := a.unmasked.Load()
	if was == nil || was.revision != set.Revision() {
		now := &unmasked{revision: set.Revision(), first: r.MaskError, since: time.Now()}
		if !a.unmasked.CompareAndSwap(was, now) {
			a.withheld(set, r)
			return
		}
		was = now
		a.log.Error().Str("event", "mask.failed").Str("decision_id", r.DecisionID).Str("revision", now.revision).
			Msg("records that cannot be masked are written without their body: " + now.first)
	}
	was.records.Add(1)
}

// maskTrouble says what could not be masked, nil where all could.
func (a *app) maskTrouble() error {
	u := a.unmasked.Load()
	if u == nil {
		return nil
	}
	return fmt.Errorf("%d records since %s could not be masked and have no body: %s", u.records.Load(), u.since.UTC().Format(time.RFC3339), u.first)
}
