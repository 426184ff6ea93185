package rehearsal_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/rehearsal"
)

// answering is a policy that gives one answer and keeps the question.
type answering struct {
	broker.Policy
	d     broker.Decision
	asked []broker.Query
}

// Decide implements broker.Policy.
func (p *answering) Decide(_ context.Context, q broker.Query) broker.Decision {
	p.asked = append(p.asked, q)
	return p.d
}

// G-04: a recorded question is put again as it was, and every member in which
// the answer is another one is named; without an input there is no question.
func TestAgain(t *testing.T) {
	const document = `{"client_id":"https://a.example/c","redirect_uris":["https://a.example/cb"],"client_name":"A"}`
	var published map[string]any
	if err := json.Unmarshal([]byte(document), &published); err != nil {
		t.Fatal(err)
	}
	in := broker.Input{Phase: broker.PhaseDocument, ClientID: "https://a.example/c", Published: published, Facts: map[string]any{"freeze": true}}
	input, err := in.PhaseJSON()
	if err != nil {
		t.Fatal(err)
	}
	settings, err := json.Marshal(broker.StrictSettings())
	if err != nil {
		t.Fatal(err)
	}
	effective, err := json.Marshal(broker.Effective{})
	if err != nil {
		t.Fatal(err)
	}
	record := decisionlog.Record{Input: input, Settings: settings, Effective: effective, Phases: []decisionlog.Phase{
		{Phase: "url"}, {Phase: "document", Allowed: true, Winner: []string{"p"}, Why: "the only one"},
	}}
	same := broker.Decision{Phase: broker.PhaseDocument, Allowed: true, Winner: []string{"p"}, Why: "the only one", Settings: broker.StrictSettings()}
	for _, test := range []struct {
		name   string
		record func(*decisionlog.Record)
		answer func(*broker.Decision)
		want   []string
		err    error
	}{
		{name: "the same"},
		{name: "refused now", answer: func(d *broker.Decision) { d.Allowed, d.Reason = false, broker.ReasonPolicyDenied }, want: []string{"allowed", "reason"}},
		{name: "another winner", answer: func(d *broker.Decision) { d.Winner = []string{"q"} }, want: []string{"winner"}},
		{name: "a denial", answer: func(d *broker.Decision) { d.Denials = []decisionlog.Denial{{Code: "no"}} }, want: []string{"denials"}},
		{name: "a longer life", answer: func(d *broker.Decision) { d.Settings.ClientTTL++ }, want: []string{"settings"}},
		{name: "more granted", answer: func(d *broker.Decision) { d.Effective.Scopes = []string{"s"} }, want: []string{"effective"}},
		{name: "something cut", answer: func(d *broker.Decision) { d.Cut = []decisionlog.Cut{{Member: "scope"}} }, want: []string{"cut"}},
		{name: "erased", record: func(r *decisionlog.Record) { r.Input = nil }, err: rehearsal.ErrNoInput},
		{name: "something of the input removed", record: func(r *decisionlog.Record) { r.Erased = []string{"/detail", "/input/user/sub"} }, err: rehearsal.ErrMasked},
		{name: "the input replaced", record: func(r *decisionlog.Record) { r.Masked = []string{"/input"} }, err: rehearsal.ErrMasked},
		{name: "something else removed", record: func(r *decisionlog.Record) {
			r.Erased, r.Masked = []string{"/detail", "/result/policy"}, []string{"/source"}
		}},
		{name: "no policy was asked", record: func(r *decisionlog.Record) { r.Phases = nil }, err: rehearsal.ErrNoInput},
	} {
		r, p := record, &answering{d: same}
		if test.record != nil {
			test.record(&r)
		}
		if test.answer != nil {
			test.answer(&p.d)
		}
		got, err := rehearsal.Recorded{Record: r}.Again(t.Context(), p)
		if !errors.Is(err, test.err) || !slices.Equal(got.Differs, test.want) {
			t.Errorf("%s: Again() = differs %v, %v, want %v, %v", test.name, got.Differs, err, test.want, test.err)
		}
		for _, q := range p.asked {
			if q.Input.Facts["freeze"] != true || q.Document == nil || q.Document.ClientName != "A" {
				t.Errorf("%s: asked with facts %v and document %v, want those of the record", test.name, q.Input.Facts, q.Document)
			}
		}
	}
}
