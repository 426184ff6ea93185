package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// Why is the answer of /v1/audit/why: what happened to one request.
type Why struct {
	RequestID    string            `json:"request_id"`    // that pages and OAuth errors carry; empty when nobody asked
	PublicReason string            `json:"public_reason"` // what the stranger was told; empty when nothing was refused
	Reason       string            `json:"reason"`        // the true reason; empty when nothing was refused
	Records      []json.RawMessage `json:"records"`       // oldest first, as in RecordPage

	// Unnamed is set where no record names the id: Records are then the summaries
	// of refusals that may count it, and the reasons those of all of them.
	Unnamed *Unnamed `json:"unnamed,omitempty"`

	Story json.RawMessage `json:"story,omitempty"` // of Config.Story; absent where it has nothing to tell
}

// NewWhy sums up the records of one request, oldest first: the reasons are
// those of the last record that refused.
func NewWhy(records []json.RawMessage) Why {
	out := Why{Records: records}
	for _, raw := range records {
		var r decisionlog.Record
		if json.Unmarshal(raw, &r) != nil {
			continue // shown as it is
		}
		if out.RequestID == "" {
			out.RequestID = r.RequestID
		}
		if r.Outcome != decisionlog.OutcomeRefused {
			continue
		}
		out.Reason, out.PublicReason = r.Reason, r.PublicReason
		if out.PublicReason == "" && r.Reason != "" {
			out.PublicReason = string(broker.Reason(r.Reason).Public())
		}
	}
	return out
}

// flush writes what is held, so that the log is complete when it is read.
func (a *api) flush(ctx context.Context) error {
	if err := a.cfg.Flush(ctx); err != nil {
		return fail(http.StatusServiceUnavailable, "write the records that are held: %s", err)
	}
	return nil
}

// why answers /v1/audit/why.
func (a *api) why(ctx context.Context, q url.Values) (any, error) {
	id := q.Get("id")
	if id == "" {
		return nil, fail(http.StatusBadRequest, "parameter id is missing. Remedy: name a request id, a decision id or a client identifier URL")
	}
	at, material, err := whyParams(q)
	if err != nil {
		return nil, err
	}
	if err := a.flush(ctx); err != nil {
		return nil, err
	}
	var records []json.RawMessage
	isClient := cimd.LooksLikeURL(id)
	switch {
	case isClient:
		records, err = a.byClient(ctx, id, at)
	case !at.IsZero():
		return nil, fail(http.StatusBadRequest, "a moment (--at, --from, --to) is for a client identifier URL, and %.100q is none", id)
	default:
		records, err = a.byID(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	switch {
	case len(records) > 0:
	case isClient:
		return nil, noRecord(id, at)
	default:
		return a.unnamed(ctx, id)
	}
	out := NewWhy(records)
	if out.RequestID != id && counted(records, id) {
		out.RequestID = id // the last of a summary
	}
	out.Story, err = a.story(ctx, records, material)
	return out, err
}

// counted reports whether a record that stands for several requests names that
// one as its last.
func counted(records []json.RawMessage, requestID string) bool {
	return slices.ContainsFunc(records, func(raw json.RawMessage) bool {
		var r decisionlog.Record
		return json.Unmarshal(raw, &r) == nil && r.LastRequestID == requestID
	})
}

// whyParams reads the parameters of /v1/audit/why beside the id.
func whyParams(q url.Values) (at time.Time, material bool, err error) {
	if s := q.Get("at"); s != "" {
		if at, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return at, false, fail(http.StatusBadRequest, "at %.60q: want a time like 2026-11-20T10:00:00Z", s)
		}
	}
	if s := q.Get("material"); s != "" {
		if material, err = strconv.ParseBool(s); err != nil {
			return at, false, fail(http.StatusBadRequest, "material %.40q: want true or false", s)
		}
	}
	return at, material, nil
}

// noRecord says that nothing is known of a client.
func noRecord(id string, at time.Time) error {
	if !at.IsZero() {
		return fail(http.StatusNotFound, "no record has the id %.300q at or before %s; guestlist audit ls --client URL shows which there are", id, at.UTC().Format(time.RFC3339))
	}
	return fail(http.StatusNotFound, "no record has the id %.300q: nothing was ever decided about it; guestlist audit ls shows which there are", id)
}

// story asks for what stands behind records; one that cannot be read has no
// part in it.
func (a *api) story(ctx context.Context, raws []json.RawMessage, material bool) (json.RawMessage, error) {
	if a.cfg.Story == nil {
		return nil, nil
	}
	var records []decisionlog.Record
	for _, raw := range raws {
		var r decisionlog.Record
		if json.Unmarshal(raw, &r) == nil && r.DecisionID != "" {
			records = append(records, r)
		}
	}
	story, err := a.cfg.Story(ctx, records, material)
	if err != nil || story == nil {
		return nil, err
	}
	return json.Marshal(story)
}

// byID finds all records of a request, else the one of a decision.
func (a *api) byID(ctx context.Context, id string) ([]json.RawMessage, error) {
	records, err := a.records(ctx, store.RecordQuery{RequestID: id})
	if err != nil || len(records) > 0 {
		return records, err
	}
	return a.records(ctx, store.RecordQuery{DecisionID: id})
}

// byClient finds all records of the request in which the client was last
// decided about, at or before a moment that is not zero.
func (a *api) byClient(ctx context.Context, id string, at time.Time) ([]json.RawMessage, error) {
	query := store.RecordQuery{ClientID: id, Event: decisionlog.EventAdmissionDecided, Newest: true, Limit: 1}
	if !at.IsZero() {
		query.Until = at.Add(1) // Until is before
	}
	newest, err := a.records(ctx, query)
	if err != nil || len(newest) == 0 {
		return nil, err
	}
	request := NewWhy(newest).RequestID
	if request == "" {
		return newest, nil
	}
	return a.records(ctx, store.RecordQuery{RequestID: request})
}
