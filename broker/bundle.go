package broker

import (
	"encoding/json"
	"time"

	"guestlist/broker/decisionlog"
)

// Bundle is what decides in one policy revision, as bytes. With the contract of
// the program that loads it, it makes the revision again.
type Bundle struct {
	Files  map[string][]byte // policies, data and the schema of facts, tests left out, by the names that findings and decisions use
	Maxima json.RawMessage   // the server maxima
}

// Activation is what came into force at one moment. It decides under its Epoch
// and those after it, until the next one.
type Activation struct {
	Epoch    uint64    `json:"epoch"`           // the first epoch it decides under; the store sets it
	At       time.Time `json:"at"`              // when
	Revision string    `json:"revision"`        // of its Bundle
	Facts    string    `json:"facts,omitempty"` // their digest; the values are in the input of each record
	Offer    Offer     `json:"offer"`           // what this server could do
}

// event names what changed against the activation before, as far as known.
func (a Activation) event(before Activation, known bool) string {
	switch {
	case !known || a.Revision != before.Revision:
		return decisionlog.EventPolicyActivated
	case a.Facts != before.Facts:
		return decisionlog.EventFactsChanged
	}
	return decisionlog.EventConfigReloaded
}

// same reports whether the same decides in both.
func (a Activation) same(b Activation) bool {
	x, err := json.Marshal(a.Offer)
	y, err2 := json.Marshal(b.Offer)
	return err == nil && err2 == nil && a.Revision == b.Revision && a.Facts == b.Facts && string(x) == string(y)
}
