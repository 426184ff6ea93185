package main

import (
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// retainConfig is how long the bodies of records are kept, by class. Zero, left
// out: for ever.
type retainConfig struct{ People, Clients, Strangers, Operators broker.Duration }

// Bounds of decision_log.retain. What is erased is gone: a unit that was
// mistaken, 90s for 90d, must not empty a log. The most is that of any duration.
const (
	retainLeast = time.Hour
	retainMost  = 36500 * 24 * time.Hour
)

func (c *retainConfig) members() map[string]configMember {
	out := map[string]configMember{}
	for class, d := range c.fields() {
		out[string(class)] = configMember{value: durationValue(d)}
	}
	return out
}

func (c *retainConfig) fields() map[decisionlog.Class]*broker.Duration {
	return map[decisionlog.Class]*broker.Duration{
		decisionlog.ClassPeople: &c.People, decisionlog.ClassClients: &c.Clients,
		decisionlog.ClassStrangers: &c.Strangers, decisionlog.ClassOperators: &c.Operators,
	}
}

// ages are those of the classes that have one.
func (c *retainConfig) ages() map[decisionlog.Class]time.Duration {
	out := map[decisionlog.Class]time.Duration{}
	for class, d := range c.fields() {
		if *d != 0 {
			out[class] = d.Std()
		}
	}
	return out
}

func (r *configReader) checkRetain(c retainConfig) {
	for _, class := range decisionlog.Classes() {
		at := "decision_log.retain." + string(class.Class)
		if r.given(at) && !r.isBad(at) {
			r.checkDurations([]durationBound{{at, *c.fields()[class.Class], retainLeast, retainMost, ""}})
		}
	}
}
