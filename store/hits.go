package store

import (
	"slices"
	"time"

	"guestlist/broker/decisionlog"
)

// MaxHits bounds how many policies are counted. Beyond it the one that was hit
// least recently is forgotten.
const MaxHits = 4096

// Hits is how often a policy took part in decisions: each start of a flow, each
// consent and each refresh is one. Refusals of a flood, which the log only
// counts, are not among them.
type Hits struct {
	Matched  uint64    `json:"matched"`          // it named the client
	Admitted uint64    `json:"admitted"`         // it gave the settings, alone or at equal rank, and the client was let in
	Denied   uint64    `json:"denied"`           // a denial of it refused
	LastAt   time.Time `json:"last_at,omitzero"` // latest of these
}

// Add adds what h does not count yet.
func (h *Hits) Add(more Hits) {
	h.Matched, h.Admitted, h.Denied = h.Matched+more.Matched, h.Admitted+more.Admitted, h.Denied+more.Denied
	if more.LastAt.After(h.LastAt) {
		h.LastAt = more.LastAt
	}
}

// HitsOf is what a record adds, by policy; "guardrails" and "anyone" are what
// records call the packages of these names.
func HitsOf(r decisionlog.Record) map[string]Hits {
	if r.Event != decisionlog.EventAdmissionDecided {
		return nil
	}
	out := map[string]Hits{}
	at := r.Timestamp.UTC()
	for _, p := range r.Phases {
		for _, c := range p.Candidates {
			h := out[c.Policy]
			h.Matched, h.LastAt = 1, at
			out[c.Policy] = h
		}
		for _, d := range p.Denials {
			h := out[d.Policy]
			h.Denied, h.LastAt = 1, at
			out[d.Policy] = h
		}
	}
	if r.Outcome != decisionlog.OutcomeAdmitted && r.Outcome != decisionlog.OutcomeReused {
		return out
	}
	for name, h := range out {
		if slices.Contains(r.Policy, name) {
			h.Admitted = 1
			out[name] = h
		}
	}
	return out
}
