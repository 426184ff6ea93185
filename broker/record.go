package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"guestlist/broker/decisionlog"
)

// author writes the one record of this call. With an error it is the record
// still, less what could not be written as JSON.
func (c *call) author(err error) (decisionlog.Record, error) {
	d := c.out.Decision
	r := decisionlog.Record{
		DecisionID: NewID(), Timestamp: c.now.UTC(), Event: decisionlog.EventAdmissionDecided, RequestID: c.req.RequestID, TraceID: c.req.TraceID, SpanID: c.req.SpanID,
		Path: Contract, Revision: c.out.Revision, Epoch: c.out.Epoch, Registration: string(c.registration),
		Phase: string(d.Phase), Policy: d.Winner, Phases: c.phases, Cut: d.Cut, DocumentSHA256: c.doc.SHA256,
		Metrics: c.metrics, Source: c.req.Facts.Source.IP, Labels: labels(d),
	}
	if c.policy != nil {
		r.Engine, r.FactsSHA256 = c.policy.Engine(), c.policy.facts
	}
	c.recordClient(&r)
	c.recordOutcome(&r, err)
	err = c.recordAnswer(&r, err)
	r.NoteComputed(len(d.Computed) > 0)
	return r, err
}

// keep puts the record into the unit when state changes or the step commits
// anyway, else into the batch.
func (c *call) keep(r decisionlog.Record, err error) error {
	if c.ended || c.write != nil || c.req.Commits && err == nil {
		c.u.Append(r)
		return nil
	}
	return c.b.cfg.Later(r)
}

// recordClient names the client; what is no identifier of anybody leaves only
// its digest and length.
func (c *call) recordClient(r *decisionlog.Record) {
	if c.id.String() == "" || c.id.IsOpaque() && c.given == nil {
		r.ClientIDDigest = Digest(c.req.ClientID)
		return
	}
	r.ClientID = c.id.String()
	r.Incarnation = c.out.Client.Incarnation
	if !c.out.Client.ExpiresAt.IsZero() {
		t := c.out.Client.ExpiresAt.UTC()
		r.ExpiresAt = &t
	}
	if c.req.Person != nil {
		r.Subject = c.b.cfg.Pseudonym(c.req.Person.Sub)
	}
	if c.req.Bound != nil {
		r.GrantID = c.req.Bound.GrantID
	}
}

// recordOutcome says what came of the call.
func (c *call) recordOutcome(r *decisionlog.Record, err error) {
	switch {
	case err != nil:
		r.Outcome, r.Reason, r.Detail = decisionlog.OutcomeRefused, string(ReasonOf(err)), err.Error()
		r.PublicReason = string(ReasonOf(err).Public())
	case c.out.Reused || c.req.Person != nil:
		r.Outcome = decisionlog.OutcomeReused
	default:
		r.Outcome, r.Refreshed = decisionlog.OutcomeAdmitted, c.live
	}
}

// recordAnswer fills input, settings, effective and result. The error names what
// could not be written.
func (c *call) recordAnswer(r *decisionlog.Record, err error) error {
	if len(c.phases) == 0 {
		return nil
	}
	d := c.out.Decision
	var errs []error
	put := func(to *json.RawMessage, v any) {
		if jerr := r.Set(to, v); jerr != nil {
			errs = append(errs, jerr)
		}
	}
	put(&r.Input, c.input.phased())
	if d.Matched() || d.Kept {
		if d.Written != nil {
			r.Keep(&r.Settings, d.Written)
		} else {
			put(&r.Settings, d.Settings)
		}
		if d.Phase != PhaseURL {
			put(&r.Effective, d.Effective)
		}
		put(&r.Result, result{err == nil, d.Denials, d.Winner})
	}
	return errors.Join(errs...)
}

// result is what a record keeps of the answer, members sorted by name.
type result struct {
	Allow   bool                 `json:"allow"`
	Denials []decisionlog.Denial `json:"denials"`
	Policy  []string             `json:"policy"`
}

// Digest stands for what must not be shown, because it is no identifier of
// anything and may be somebody's secret in the wrong place: SHA-256 and length.
func Digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return fmt.Sprintf("sha256:%s (%d bytes)", hex.EncodeToString(sum[:]), len(s))
}

// labels are the tags of the settings, but for those that a policy computed:
// records are found by their labels for good.
func labels(d Decision) map[string]string {
	var out map[string]string
	for _, v := range d.Settings.Tags {
		if slices.Contains(d.Computed, v) {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(d.Settings.Tags))
		}
		out[v] = "true"
	}
	return out
}
