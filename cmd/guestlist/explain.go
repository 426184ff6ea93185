package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// whyAnswer is what audit why and policy eval explain and print as JSON.
type whyAnswer = admin.Why

// whyOf makes the answer about records that are not in a log.
func whyOf(records ...decisionlog.Record) (whyAnswer, error) {
	raws := make([]json.RawMessage, len(records))
	for i, r := range records {
		b, err := json.Marshal(r)
		if err != nil {
			return whyAnswer{}, fmt.Errorf("record %s: %w", r.DecisionID, err)
		}
		raws[i] = b
	}
	return admin.NewWhy(raws), nil
}

// logged is a record as the log shows it.
type logged struct {
	Seq   uint64 `json:"seq"`   // zero outside a log
	Error string `json:"error"` // why the record cannot be read
	decisionlog.Record
	BodyErased bool `json:"body_erased"` // detail, source, input and result went by age
}

// explain writes a page for people about one request: what the stranger saw,
// the true reason, and every record with what each phase said; with verbose
// also its policy input and result.
func explain(w io.Writer, why whyAnswer, verbose bool) error {
	records, err := decodeLogged(why.Records)
	if err != nil {
		return err
	}
	p := &page{verbose: verbose}
	p.summary(why, records)
	for _, r := range records {
		p.line(0, "")
		p.record(r)
	}
	_, err = w.Write(p.buf.Bytes())
	return err
}

// decodeLogged reads the records of an answer.
func decodeLogged(raws []json.RawMessage) ([]logged, error) {
	records := make([]logged, len(raws))
	for i, raw := range raws {
		if err := json.Unmarshal(raw, &records[i]); err != nil {
			return nil, fmt.Errorf("read record %d of the answer: %w", i+1, err)
		}
	}
	return records, nil
}

// page collects lines; everything that is put in is made safe to show.
type page struct {
	buf     bytes.Buffer
	verbose bool
}

// line writes one line, indented by two spaces a level.
func (p *page) line(level int, format string, args ...any) {
	text := strings.Repeat("  ", level) + visible(fmt.Sprintf(format, args...))
	p.buf.WriteString(strings.TrimRight(text, " ") + "\n")
}

// field writes a name and its value, in columns; an empty value writes nothing.
func (p *page) field(level int, name, value string) {
	if value != "" {
		p.line(level, "%-*s %s", 16-2*level, name, value)
	}
}

// summary answers the question in the first lines.
func (p *page) summary(why whyAnswer, records []logged) {
	p.field(0, "request", why.RequestID)
	if u := why.Unnamed; u != nil {
		p.field(0, "given out", stamp(u.GivenAt))
		p.field(0, "known", u.Told)
		if why.Reason != "" {
			p.told(why)
		}
		return
	}
	for _, r := range records {
		if !r.Timestamp.IsZero() {
			p.field(0, "when", stamp(r.Timestamp))
			break
		}
	}
	if i := slices.IndexFunc(records, func(r logged) bool { return clientOf(r) != "" }); i >= 0 {
		p.field(0, "client", clientOf(records[i]))
	}
	if why.Reason == "" {
		p.field(0, "reason", "none: nothing was refused")
		return
	}
	p.told(why)
}

// told writes what the stranger was told, and the true reason.
func (p *page) told(why whyAnswer) {
	p.field(0, "stranger saw", why.PublicReason)
	p.field(0, "reason", reasonLine(why.Reason))
}

// clientOf names the client of a record, or what is known of one that could
// not be parsed.
func clientOf(r logged) string {
	if r.ClientID == "" && r.ClientIDDigest != "" {
		return "not a client identifier, " + r.ClientIDDigest
	}
	return r.ClientID
}

// reasonLine is a reason with its meaning.
func reasonLine(reason string) string {
	if meaning := broker.Reason(reason).Meaning(); meaning != "" {
		return reason + ": " + meaning
	}
	return reason
}

// record writes one record.
func (p *page) record(r logged) {
	if r.Error != "" {
		p.line(0, "record %d", r.Seq)
		p.field(1, "unreadable", r.Error)
		return
	}
	head := "record"
	if r.Seq != 0 {
		head += " " + strconv.FormatUint(r.Seq, 10)
	}
	p.line(0, "%s: %s, %s", head, r.Event, r.Outcome)
	p.field(1, "decision", r.DecisionID)
	p.field(1, "when", stamp(r.Timestamp))
	p.field(1, "client", clientOf(r))
	if r.Reason != "" {
		p.field(1, "reason", reasonLine(r.Reason))
	}
	p.field(1, "detail", r.Detail)
	p.field(1, "erased", strings.Join(r.Erased, " "))
	p.field(1, "masked", strings.Join(r.Masked, " "))
	p.field(1, "not masked", r.MaskError)
	p.standing(r)
	p.parties(r)
	if len(r.Phases) == 0 {
		p.field(1, "policy", strings.Join(r.Policy, ", "))
	}
	for _, ph := range withGone(r) {
		p.phase(ph)
	}
	p.goneTerms(r)
	p.terms(r)
	p.field(1, "document", r.DocumentSHA256)
	if r.ExpiresAt != nil {
		p.field(1, "expires", stamp(*r.ExpiresAt))
	}
	p.field(1, "revision", r.Revision)
	p.field(1, "facts", r.FactsSHA256)
	p.field(1, "engine", r.Engine)
	p.field(1, "epoch", strconv.FormatUint(r.Epoch, 10))
	if p.verbose {
		p.metrics(r.Metrics)
		p.raw("input", r.Input)
		p.raw("result", r.Result)
	}
}

// standing writes that the body is gone, and how many the record stands for.
func (p *page) standing(r logged) {
	if r.BodyErased {
		what := "detail, source, input and result"
		if len(r.Computed) > 0 {
			what += ", and what policies computed"
		}
		p.field(1, "erased", what+", by age (decision_log.retain)")
	}
	switch {
	case r.LastRequestID != "":
		p.field(1, "stands for", fmt.Sprintf("%s, the last with request id %s", number(r.Count, "like refusal"), r.LastRequestID))
	case r.Count != 0:
		p.field(1, "count", strconv.Itoa(r.Count))
	}
}

// metrics writes how long things took.
func (p *page) metrics(m map[string]int64) {
	if len(m) == 0 {
		return
	}
	values := make(map[string]string, len(m))
	for name, n := range m {
		values[name] = strconv.FormatInt(n, 10)
	}
	p.line(1, "metrics")
	p.members(2, values)
}

// parties writes who and what else the record is about.
func (p *page) parties(r logged) {
	p.field(1, "source", r.Source)
	p.field(1, "registration", r.Registration)
	if r.Incarnation != 0 {
		p.field(1, "incarnation", strconv.FormatUint(r.Incarnation, 10))
	}
	p.field(1, "person", r.Subject)
	p.field(1, "actor", r.Actor)
	p.field(1, "grant", r.GrantID)
	p.field(1, "token", r.TokenID)
	p.field(1, "labels", strings.Join(slices.Sorted(maps.Keys(r.Labels)), ", "))
	p.field(1, "trace", r.TraceID)
}

// phase writes what the policies said in one phase.
func (p *page) phase(ph decisionlog.Phase) {
	verdict := "allowed"
	if !ph.Allowed {
		verdict = "refused: " + ph.Reason
	}
	p.line(1, "phase %s  %s", ph.Phase, verdict)
	for _, c := range ph.Candidates {
		p.field(2, "candidate", candidateLine(c))
	}
	if len(ph.Winner) > 0 {
		line := strings.Join(ph.Winner, ", ")
		if ph.Why != "" {
			line += ": " + ph.Why
		}
		p.field(2, "winner", line)
	}
	p.explanation(ph)
	for _, d := range ph.Denials {
		p.denial("denied", d)
	}
	for _, d := range ph.Warnings {
		kind := "warning"
		if d.WaivedBy != "" {
			kind = "waived"
		}
		p.denial(kind, d)
	}
}

// candidateLine is one policy that matched, with how.
func candidateLine(c decisionlog.Candidate) string {
	line := fmt.Sprintf("%s  %s  priority %d, %s", c.Policy, c.Pattern, c.Priority, c.Mode)
	if !c.Settles {
		line += ", veto only"
	}
	if c.Row != "" {
		line += ", row " + c.Row
	}
	if c.Title != "" {
		line += "  (" + c.Title + ")"
	}
	return line
}

// denial writes one element of a deny or warn set.
func (p *page) denial(kind string, d decisionlog.Denial) {
	p.field(2, kind, fmt.Sprintf("%s by %s.%s: %s", d.Code, d.Policy, d.Rule, d.Message))
	p.field(3, "at", d.Location)
	if d.WaivedBy != "" {
		p.field(3, "waived by", strings.TrimSpace(d.WaivedBy+" until "+d.WaivedUntil+" "+d.WaiverTicket))
	}
	p.field(3, "remedy", d.Remedy)
	p.field(3, "person saw", d.UserMessage)
	if d.Effect != "" && d.Effect != "refuse" {
		p.field(3, "effect", d.Effect)
	}
	p.reads(d)
}

// stamp writes a time as records have it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// stampColumn writes a time to the millisecond, for columns that line up.
func stampColumn(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
