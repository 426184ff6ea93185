package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

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
		return nil, fail(http.StatusBadRequest, "parameter id is missing")
	}
	if err := a.flush(ctx); err != nil {
		return nil, err
	}
	find := a.byID
	if cimd.LooksLikeURL(id) {
		find = a.byClient
	}
	records, err := find(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, fail(http.StatusNotFound, "no record has the id %.300q; guestlist audit ls shows which there are", id)
	}
	return NewWhy(records), nil
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
// decided about.
func (a *api) byClient(ctx context.Context, id string) ([]json.RawMessage, error) {
	newest, err := a.records(ctx, store.RecordQuery{ClientID: id, Event: decisionlog.EventAdmissionDecided, Newest: true, Limit: 1})
	if err != nil || len(newest) == 0 {
		return nil, err
	}
	request := NewWhy(newest).RequestID
	if request == "" {
		return newest, nil
	}
	return a.records(ctx, store.RecordQuery{RequestID: request})
}
