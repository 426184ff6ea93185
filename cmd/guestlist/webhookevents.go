package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"guestlist/broker/decisionlog"
)

// What a webhook may be told of.
const (
	kindRefusals    = "refusals"     // somebody was told no
	kindChanges     = "changes"      // of clients, documents, keys and policies
	kindFirstSights = "first_sights" // a client was admitted for the first time ever
)

var webhookKinds = []string{kindRefusals, kindChanges, kindFirstSights}

// changeEvents begin the names of events that are changes.
var changeEvents = []string{"client.", "document.", "keys.", "policy."}

// The bounds of one delivery: events told one by one, records looked at.
const (
	webhookEvents  = 100
	webhookRecords = 10_000
	webhookRead    = 256 // records read at a time
)

// delivery is what one post says.
type delivery struct {
	ID        string         `json:"id"`        // of this delivery; the same when it is repeated
	Issuer    string         `json:"issuer"`    // who says it
	Events    []webhookEvent `json:"events"`    // oldest first
	Summaries []summary      `json:"summaries"` // what was beyond the rate, counted

	upto uint64 // last record it covers
}

func (d delivery) empty() bool { return len(d.Events)+len(d.Summaries) == 0 }

// webhookEvent is one decision record as a receiver learns it: what the
// record's header has, less persons, input and settings.
type webhookEvent struct {
	ID             string    `json:"id"`   // the record's decision_id: the same when the event is told again
	Seq            uint64    `json:"seq"`  // the record's place in the log
	Kind           string    `json:"kind"` // see webhookKinds
	First          []string  `json:"first,omitempty"`
	Time           time.Time `json:"timestamp"`
	Event          string    `json:"event"`
	Outcome        string    `json:"outcome"`
	Reason         string    `json:"reason,omitempty"`
	PublicReason   string    `json:"public_reason,omitempty"`
	RequestID      string    `json:"request_id,omitempty"`
	ClientID       string    `json:"client_id,omitempty"`
	ClientIDDigest string    `json:"client_id_digest,omitempty"`
	Registration   string    `json:"registration,omitempty"`
	Phase          string    `json:"phase,omitempty"`
	Policy         []string  `json:"policy,omitempty"`
	Revision       string    `json:"revision,omitempty"`
	DocumentSHA256 string    `json:"document_sha256,omitempty"`
	Actor          string    `json:"actor,omitempty"`
	Count          int       `json:"count,omitempty"` // the record itself stands for so many
}

// summary counts events of one sort that were beyond the rate.
type summary struct {
	Kind           string `json:"kind"`
	Event          string `json:"event"`
	Reason         string `json:"reason,omitempty"`
	Count          int    `json:"count"`
	FirstSeq       uint64 `json:"first_seq"`
	LastSeq        uint64 `json:"last_seq"`
	FirstRequestID string `json:"first_request_id,omitempty"`
	LastRequestID  string `json:"last_request_id,omitempty"`
}

// collect reads the log behind after: events to tell one by one as far as the
// minute has room, and counts of all further ones.
func (w *webhook) collect(ctx context.Context, after uint64) (delivery, error) {
	d := delivery{Events: []webhookEvent{}, Summaries: []summary{}, upto: after}
	room, _ := w.room()
	for d.upto < after+webhookRecords {
		records, err := w.log.Next(ctx, d.upto, webhookRead)
		if err != nil || len(records) == 0 {
			return d, err
		}
		for _, s := range records {
			e, told, err := w.event(ctx, s)
			switch {
			case err != nil:
				return d, err
			case !told:
			case len(d.Events) < min(room, webhookEvents):
				d.Events = append(d.Events, e)
			case len(d.Events) < room:
				return d, nil // the next delivery has it
			default:
				d.count(e)
			}
			d.upto = s.Seq
		}
	}
	return d, nil
}

// count adds e to the summary of its sort.
func (d *delivery) count(e webhookEvent) {
	i := slices.IndexFunc(d.Summaries, func(s summary) bool { return s.Kind == e.Kind && s.Event == e.Event && s.Reason == e.Reason })
	if i < 0 {
		i = len(d.Summaries)
		d.Summaries = append(d.Summaries, summary{Kind: e.Kind, Event: e.Event, Reason: e.Reason, FirstSeq: e.Seq, FirstRequestID: e.RequestID})
	}
	s := &d.Summaries[i]
	s.Count += max(1, e.Count)
	s.LastSeq, s.LastRequestID = e.Seq, e.RequestID
}

// event reads a record's header and says whether this webhook tells of it.
// The body, which holds the personal members, is not looked at.
func (w *webhook) event(ctx context.Context, s decisionlog.Sealed) (webhookEvent, bool, error) {
	var e webhookEvent
	var h struct {
		DecisionID string `json:"decision_id"`
		*webhookEvent
	}
	h.webhookEvent = &e
	if err := json.Unmarshal(s.Header, &h); err != nil {
		return e, false, fmt.Errorf("read record %d: %w", s.Seq, err)
	}
	e.ID, e.Seq = h.DecisionID, s.Seq
	if e.Kind = kindOf(e); !slices.Contains(w.kinds, e.Kind) {
		return e, false, nil
	}
	if e.Kind == kindFirstSights {
		var err error
		if e.First, err = w.sights.first(ctx, e); err != nil || len(e.First) == 0 {
			return e, false, err
		}
	}
	return e, true, nil
}

// kindOf is what a record may be told as; empty: it is never told.
func kindOf(e webhookEvent) string {
	switch {
	case slices.ContainsFunc(changeEvents, func(prefix string) bool { return strings.HasPrefix(e.Event, prefix) }):
		return kindChanges
	case e.Outcome == decisionlog.OutcomeRefused:
		return kindRefusals
	case e.Event == decisionlog.EventAdmissionDecided && e.Outcome == decisionlog.OutcomeAdmitted:
		return kindFirstSights
	}
	return ""
}
