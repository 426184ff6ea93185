package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/store"
)

// RecordPage is the answer of /v1/audit.
type RecordPage struct {
	// Records are complete JSON objects with seq; one that cannot be read or
	// proven is {"seq", "error"}.
	Records []json.RawMessage `json:"records"`
}

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

// listRecords answers /v1/audit.
func (a *api) listRecords(ctx context.Context, q url.Values) (any, error) {
	query, err := recordQuery(q)
	if err != nil {
		return nil, err
	}
	if err := a.flush(ctx); err != nil {
		return nil, err
	}
	records, err := a.records(ctx, query)
	return RecordPage{Records: records}, err
}

// recordQuery reads the filters of /v1/audit.
func recordQuery(q url.Values) (store.RecordQuery, error) {
	out := store.RecordQuery{ClientID: q.Get("client_id"), Event: q.Get("event"), Outcome: q.Get("outcome"), Reason: q.Get("reason")}
	var err error
	if out.Limit, err = limitOf(q); err != nil {
		return out, err
	}
	for name, to := range map[string]*time.Time{"since": &out.Since, "until": &out.Until} {
		s := q.Get(name)
		if s == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return out, fail(http.StatusBadRequest, "%s %.60q: want a time like 2026-11-20T10:00:00Z", name, s)
		}
	}
	if s := q.Get("newest"); s != "" {
		if out.Newest, err = strconv.ParseBool(s); err != nil {
			return out, fail(http.StatusBadRequest, "newest %.40q: want true or false", s)
		}
	}
	return out, nil
}

// flush writes what is held, so that the log is complete when it is read.
func (a *api) flush(ctx context.Context) error {
	if err := a.cfg.Flush(ctx); err != nil {
		return fail(http.StatusServiceUnavailable, "write the records that are held: %s", err)
	}
	return nil
}

// records reads records as JSON objects. One that is damaged does not hide
// the others.
func (a *api) records(ctx context.Context, q store.RecordQuery) ([]json.RawMessage, error) {
	sealed, err := a.cfg.Store.Records(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]json.RawMessage, 0, len(sealed))
	for _, s := range sealed {
		b, err := s.JSON()
		if err != nil {
			b, err = json.Marshal(map[string]any{"seq": s.Seq, "error": err.Error()})
		}
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", s.Seq, err)
		}
		out = append(out, b)
	}
	return out, nil
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
