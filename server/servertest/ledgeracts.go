package servertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// checkActs: a block and a pin are there exactly where the last record about
// them put them there.
func (l *Ledger) checkActs() {
	last, pins := map[string]decisionlog.Record{}, map[string]decisionlog.Record{}
	for _, r := range l.Records {
		switch r.Event {
		case decisionlog.EventClientBlocked, decisionlog.EventClientUnblocked:
			what, _, _ := strings.Cut(r.Detail, ": ")
			last[what] = r
		case decisionlog.EventDocumentPinned, decisionlog.EventDocumentUnpinned:
			pins[r.ClientID] = r
		case decisionlog.EventDocumentApproved:
			if r.Registration == string(broker.RegistrationPinned) {
				pins[r.ClientID] = r
			}
		}
	}
	l.checkHolds()
	there := map[string]bool{}
	for _, b := range l.Blocks {
		what := fmt.Sprintf("%s %s", b.Kind, b.Value)
		there[what] = true
		if r := last[what]; r.Event != decisionlog.EventClientBlocked || r.Actor != b.Actor {
			l.wrong("the block of the %s has as its last record %q by %q", what, r.Event, r.Actor)
		}
	}
	for what, r := range last {
		if there[what] != (r.Event == decisionlog.EventClientBlocked) {
			l.wrong("the %s is blocked: %v, by its last record: %s", what, there[what], r.Event)
		}
	}
	for id := range maps.Keys(merged(flags(l.Pins), flags(pins))) {
		p, pinned := l.Pins[id]
		r := pins[id]
		if pinned != (r.Event != "" && r.Event != decisionlog.EventDocumentUnpinned) || pinned && r.DocumentSHA256 != p.SHA256 {
			l.wrong("%s is pinned: %v to %.8s, by its last record: %s of %.8s", id, pinned, p.SHA256, r.Event, r.DocumentSHA256)
		}
	}
}

// checkHolds: a hold is there exactly where the last record about it put it
// there.
func (l *Ledger) checkHolds() {
	held, there := map[string]bool{}, map[string]bool{}
	for _, r := range l.Records {
		if r.Event == decisionlog.EventLogHeld || r.Event == decisionlog.EventLogReleased {
			what, _, _ := strings.Cut(r.Detail, " on ")
			held[what] = r.Event == decisionlog.EventLogHeld
		}
	}
	for _, h := range l.Holds {
		there["hold "+h.ID] = true
	}
	for what := range maps.Keys(merged(held, there)) {
		if held[what] != there[what] {
			l.wrong("the %s is there: %v, by its last record %v", what, there[what], held[what])
		}
	}
}

// checkBodies: as many bodies are gone as records tell of, each in the range of
// one.
func (l *Ledger) checkBodies() {
	gone := map[uint64]bool{}
	for _, seq := range l.Bare {
		gone[seq] = true
	}
	told, within := 0, map[uint64]bool{}
	for i, r := range l.Records {
		if r.Event != decisionlog.EventLogErased {
			continue
		}
		told += r.Count
		var from, to uint64
		_, span, _ := strings.Cut(r.Detail, ", from ")
		if n, err := fmt.Sscanf(span, "%d to %d", &from, &to); n != 2 || !gone[from] || !gone[to] {
			l.wrong("record %d tells of bodies that went, %q, of which the first or the last is there (%v)", i+1, r.Detail, err)
		}
		for seq := from; seq <= to; seq++ {
			within[seq] = true
		}
	}
	if told != len(gone) {
		l.wrong("%d bodies are gone, by the records %d", len(gone), told)
	}
	for _, seq := range l.Bare {
		if !within[seq] {
			l.wrong("no record tells that the body of record %d went", seq)
			return
		}
	}
}

// flags keeps the keys of a map.
func flags[V any](m map[string]V) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

// activating are the events of what came into force.
var activating = []string{decisionlog.EventPolicyActivated, decisionlog.EventFactsChanged, decisionlog.EventConfigReloaded}

// checkActivations: what was in force under each epoch has the record that put
// it there, and the epoch grew by what has records alone.
func (l *Ledger) checkActivations() {
	made, sure, perhaps := map[uint64]decisionlog.Record{}, 0, 0
	for _, r := range l.Records {
		switch {
		case slices.Contains(activating, r.Event) && r.Epoch > 0:
			made[r.Epoch] = r
			sure++
		case r.Event == decisionlog.EventClientBlocked, r.Event == decisionlog.EventClientUnblocked,
			r.Event == decisionlog.EventDocumentPinned, r.Event == decisionlog.EventDocumentUnpinned:
			sure++
		case r.Registration == string(broker.RegistrationPinned) && r.Event == decisionlog.EventDocumentApproved:
			sure++
		case r.Registration == string(broker.RegistrationPinned) && r.Event == decisionlog.EventDocumentFetched:
			perhaps++ // a document came to wait, or another one
		}
	}
	if n := int(l.Epoch); n < sure || n > sure+perhaps {
		l.wrong("the epoch is %d, by the records %d to %d", n, sure, sure+perhaps)
	}
	for i, a := range l.InForce {
		r, ok := made[a.Epoch]
		if !ok || r.Revision != a.Revision || r.FactsSHA256 != a.Facts || !l.Bundles[a.Revision] {
			l.wrong("under the epoch %d the revision %.15s of epoch %d is in force; its record has %.15s, its bytes are there: %v", i+1, a.Revision, a.Epoch, r.Revision, l.Bundles[a.Revision])
		}
	}
	for i, r := range l.Records {
		if r.Event != decisionlog.EventAdmissionDecided || r.Epoch == 0 {
			continue
		}
		if r.Epoch > l.Epoch || l.InForce[r.Epoch-1].Revision != r.Revision || l.InForce[r.Epoch-1].Facts != r.FactsSHA256 {
			l.wrong("record %d was decided by the revision %.15s, which is not the one of its epoch %d", i+1, r.Revision, r.Epoch)
		}
	}
	for epoch, r := range made {
		if epoch > l.Epoch || l.InForce[epoch-1].Epoch != epoch {
			l.wrong("a record puts the revision %.15s in force under the epoch %d, where nothing came into force", r.Revision, epoch)
		}
	}
}
