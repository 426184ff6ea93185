package store

import (
	"strings"
	"time"

	"guestlist/broker/decisionlog"
)

// Hold keeps the bodies of records whatever their age: a legal hold.
type Hold struct {
	ID     string      `json:"id"`     // random
	Filter RecordQuery `json:"filter"` // which records; sequence numbers, order and limit do not count
	Reason string      `json:"reason"` // the operator's words
	Actor  string      `json:"actor"`  // the operator
	At     time.Time   `json:"at"`     // when it was put
}

// Retain asks which bodies of one class are past their age.
type Retain struct {
	Class  decisionlog.Class // of the records, see decisionlog.ClassOf
	After  uint64            // records behind this sequence number: Overdue.Place of the time before
	Before time.Time         // records older than this
	Now    time.Time         // records of a later time were written by a clock that was ahead: they are as old as the first one behind them that is not
	Max    int               // at most this many; zero means 200
}

// Overdue answers a Retain.
type Overdue struct {
	Seqs  []uint64 // records to erase, in order: of the class, past their age, with a body, not held
	Place uint64   // where to go on: up to here nothing else is to be erased
	More  bool     // whether there may be more; a call looks at a bounded number of records
	Holds uint64   // number of the state of the holds, for RequireHolds
}

// Oldest answers Store.OldestInput.
type Oldest struct {
	Place uint64    // where to go on: no record up to here has an input
	At    time.Time // time of the record behind Place, which has one; zero: none was found
	More  bool      // whether there may be one further on; a call looks at a bounded number of records
}

// RetainPlace is the name of the cursor of Overdue.Place for one class; that
// of Oldest.Place is RetainPlace("").
func RetainPlace(class decisionlog.Class) string { return "retain:" + string(class) }

// String says in words what the query selects, for people: as the flags of
// guestlist audit ls do.
func (q RecordQuery) String() string {
	var parts []string
	for _, p := range []struct{ name, value string }{
		{"request", q.RequestID}, {"decision", q.DecisionID}, {"client", q.ClientID}, {"host", q.Host}, {"domain", q.Domain}, {"person", q.Subject},
		{"policy", q.Policy}, {"label", q.Label}, {"grant", q.GrantID}, {"event", q.Event}, {"outcome", q.Outcome}, {"reason", q.Reason},
		{"since", stamp(q.Since)}, {"until", stamp(q.Until)},
	} {
		if p.value != "" {
			parts = append(parts, p.name+" "+p.value)
		}
	}
	return strings.Join(parts, ", ")
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}
