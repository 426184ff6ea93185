package rehearsal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// Why the question of a record cannot be put again.
var (
	ErrNoInput = errors.New("the record has no input")                          // no policy was asked, or the body was erased
	ErrMasked  = errors.New("the input of the record is not what policies had") // masking took something of it
)

// Recorded is a decision of the log with what it takes to make it again: what
// the policies of a revision are, the rest is in the record itself.
type Recorded struct {
	Record   decisionlog.Record
	Document []byte           // as it was judged; nil: the published members of the input stand for it
	Offer    broker.Offer     // what the server could do by then
	Terms    *broker.Settings // of the grant, for the refresh of a client that no policy named; nil: there are none
}

// Answer is what a policy says to a recorded question.
type Answer struct {
	Decision broker.Decision // with its explanation
	Differs  []string        // what is not as the record has it, by member: allowed, reason, winner, settings …; empty: all is the same
}

// Again puts the question of the record's last phase to p, under the facts of
// then. The errors are ErrNoInput, ErrMasked and what says that the recorded
// input cannot be read.
func (r Recorded) Again(ctx context.Context, p broker.Policy) (Answer, error) {
	q, err := r.query()
	if err != nil {
		return Answer{}, err
	}
	d := p.Decide(ctx, q)
	differs := r.differs(d)
	q.Explain = true
	return Answer{p.Decide(ctx, q), differs}, nil
}

// query is the question.
func (r Recorded) query() (broker.Query, error) {
	if r.Record.Altered("input") {
		return broker.Query{}, ErrMasked
	}
	if len(r.Record.Input) == 0 || len(r.Record.Phases) == 0 {
		return broker.Query{}, ErrNoInput
	}
	q := broker.Query{Offer: r.Offer, Kept: r.Terms}
	d := json.NewDecoder(bytes.NewReader(r.Record.Input))
	d.UseNumber()
	if err := d.Decode(&q.Input); err != nil {
		return broker.Query{}, fmt.Errorf("read the recorded input: %w", err)
	}
	if q.Input.Phase != broker.PhaseRefresh {
		q.Kept = nil
	}
	if q.Input.Phase == broker.PhaseURL {
		return q, nil
	}
	doc, err := r.document(q.Input)
	q.Document = &doc
	return q, err
}

// document is the one that was judged.
func (r Recorded) document(in broker.Input) (cimd.Document, error) {
	id, err := cimd.Parse(in.ClientID)
	if err != nil {
		id, err = cimd.Opaque(in.ClientID)
	}
	body := r.Document
	if err == nil && body == nil {
		body, err = json.Marshal(in.Published)
	}
	if err != nil {
		return cimd.Document{}, fmt.Errorf("read the recorded input: %w", err)
	}
	parsed, err := cimd.ParseDocument(body, id, cimd.ProfileCIMD)
	if err != nil {
		return cimd.Document{}, fmt.Errorf("read the document: %w", err)
	}
	return parsed.Document, nil
}

// differs compares an answer with the record, as their JSON has them; where
// masking took something that a policy computed, as far as it is known.
func (r Recorded) differs(d broker.Decision) []string {
	was := r.Record.Phases[len(r.Record.Phases)-1]
	if r.Record.Altered("phases") {
		was.Denials, was.Warnings = decisionlog.Wordless(was.Denials), decisionlog.Wordless(was.Warnings)
		d.Denials, d.Warnings = decisionlog.Wordless(d.Denials), decisionlog.Wordless(d.Warnings)
	}
	pairs := []pair{
		{"allowed", was.Allowed, d.Allowed}, {"reason", was.Reason, string(d.Reason)},
		{"winner", was.Winner, d.Winner}, {"why", was.Why, d.Why}, {"nearest_miss", was.NearestMiss, d.NearestMiss},
		{"candidates", was.Candidates, d.Candidates}, {"denials", was.Denials, d.Denials}, {"warnings", was.Warnings, d.Warnings},
		{"cut", r.Record.Cut, d.Cut},
	}
	if len(r.Record.Settings) > 0 || d.Matched() || d.Kept {
		if !r.Record.Altered("settings") {
			pairs = append(pairs, pair{"settings", r.Record.Settings, d.Settings})
		}
		if d.Phase != broker.PhaseURL && !r.Record.Altered("effective") {
			pairs = append(pairs, pair{"effective", r.Record.Effective, d.Effective})
		}
	}
	var out []string
	for _, p := range pairs {
		if !p.same() {
			out = append(out, p.member)
		}
	}
	return out
}

// pair is one member, as it was and as it is.
type pair struct {
	member  string
	was, is any
}

// same compares their JSON; what is absent and what is empty are the same, as
// in a record.
func (p pair) same() bool {
	a, b := written(p.was), written(p.is)
	return bytes.Equal(a, b)
}

func written(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil || string(b) == "null" || string(b) == "[]" {
		return nil
	}
	return b
}
