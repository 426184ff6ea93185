package main

import (
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// configReloaded records that a file which the configuration names was read
// again; with an error what it said before goes on. detail names the file.
func (a *app) configReloaded(detail string, err error) {
	if a.server == nil {
		return // still starting
	}
	r := decisionlog.Record{
		DecisionID: broker.NewID(), Timestamp: time.Now(), Event: decisionlog.EventConfigReloaded,
		Outcome: decisionlog.OutcomeDone, Revision: a.broker.Revision(), Detail: detail,
	}
	if err != nil {
		r.Outcome, r.Detail = decisionlog.OutcomeRefused, detail+": the last good one stays in force: "+err.Error()
	}
	_ = a.batch.Keep(r) // who may sign in does not wait for the log
}
