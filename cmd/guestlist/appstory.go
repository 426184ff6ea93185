package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
	"guestlist/store"
)

// storyteller tells what stands behind a record.
type storyteller struct {
	store  store.Store
	active func() *policies.Set
	offer  broker.Offer // of now
	record decisionlog.Record
	input  broker.Input // zero: not kept

	activation broker.Activation // zero: not known
	bundle     broker.Bundle
	kept       bool // the bundle is
	document   []byte
	out        *story
}

// story is what the admin API tells beside the records of one answer; nil where
// no policy was asked.
func (a *app) story(ctx context.Context, records []decisionlog.Record, material bool) (any, error) {
	i := len(records) - 1
	for ; i >= 0 && (records[i].Event != decisionlog.EventAdmissionDecided || len(records[i].Phases) == 0); i-- {
	}
	if i < 0 {
		return nil, nil
	}
	t := &storyteller{store: a.store, active: func() *policies.Set { return a.active.Load().set }, offer: offer(a.plan.resources), record: records[i]}
	if err := t.tell(ctx); err != nil {
		return nil, err
	}
	if material {
		t.out.Material = &storyMaterial{Document: t.document, Files: t.bundle.Files, Maxima: t.bundle.Maxima, Offer: t.activation.Offer}
	}
	return t.out, nil
}

// tell gathers everything.
func (t *storyteller) tell(ctx context.Context) error {
	t.out = &story{DecisionID: t.record.DecisionID, At: t.record.Timestamp}
	if len(t.record.Input) > 0 {
		// A masked one may have any form; what can be read of it is told.
		if err := json.Unmarshal(t.record.Input, &t.input); err != nil && !t.record.Altered("input") {
			return err
		}
	}
	for _, step := range []func(context.Context) error{t.force, t.seen, t.answers, t.grants} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// force finds the revision that decided, and since when it did.
func (t *storyteller) force(ctx context.Context) error {
	a, ok, err := t.store.Begin().Activation(ctx, t.record.Epoch)
	if err != nil || !ok || a.Revision != t.record.Revision {
		return err
	}
	t.activation = a
	if t.bundle, t.kept, err = t.store.Bundle(ctx, a.Revision); err != nil {
		return err
	}
	since := a
	for since.Epoch > 0 { // other facts and another offer do not make it another revision
		before, ok, err := t.store.Begin().Activation(ctx, since.Epoch-1)
		if err != nil {
			return err
		}
		if !ok || before.Revision != a.Revision {
			break
		}
		since = before
	}
	t.out.InForce = &storyForce{Revision: a.Revision, Since: since.At, Facts: t.record.FactsSHA256, Values: t.input.Facts}
	records, err := t.records(ctx, store.RecordQuery{Event: decisionlog.EventPolicyActivated, Since: since.At, Until: since.At.Add(1), Limit: 1})
	if err == nil && len(records) > 0 {
		t.out.InForce.Source, t.out.InForce.Actor = records[0].Detail, records[0].Actor
	}
	return err
}

// records reads records; one that cannot be read is left out.
func (t *storyteller) records(ctx context.Context, q store.RecordQuery) ([]decisionlog.Record, error) {
	sealed, err := t.store.Records(ctx, q)
	var out []decisionlog.Record
	for _, s := range sealed {
		if r, err := s.Record(); err == nil {
			out = append(out, r)
		}
	}
	return out, err
}

// seen finds the document that was judged.
func (t *storyteller) seen(ctx context.Context) error {
	sum := t.record.DocumentSHA256
	if sum == "" {
		return nil
	}
	versions, err := t.store.Versions(ctx, t.record.ClientID)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.SHA256 == sum {
			t.document = v.Published
		}
	}
	c, ok, err := t.store.Begin().Client(ctx, t.record.ClientID)
	if err == nil && ok && c.DocumentSHA256 == sum {
		t.document = c.Published
	}
	if err == nil && t.document == nil {
		t.document, _, err = t.store.Document(ctx, sum)
	}
	p := t.input.Provenance
	t.out.Document = &storyDocument{SHA256: sum, Bytes: max(p.Bytes, len(t.document)), FetchedAt: p.FetchedAt, From: p.From, Kept: t.document != nil}
	return err
}

// answers puts the recorded question to the policies of then and of now.
func (t *storyteller) answers(ctx context.Context) error {
	terms, err := t.terms(ctx)
	if err != nil {
		return err
	}
	asked := rehearsal.Recorded{Record: t.record, Document: t.document, Offer: t.activation.Offer, Terms: terms}
	active := t.active()
	set, err := t.then(ctx, active)
	switch {
	case err != nil:
		t.out.Then = &storyAnswer{Answer: answerNone, Why: err.Error()}
	default:
		t.out.Then = t.again(ctx, asked, set)
		t.excerpts(set)
	}
	asked.Offer = t.offer
	t.out.Today = t.again(ctx, asked, active)
	if missing := t.unrecorded(set, active); missing != "" && t.out.Today.Answer != answerNone {
		t.out.Today = &storyAnswer{Answer: answerNone, Revision: active.Revision(), Engine: active.Engine(),
			Why: "the policies of today read claims of the person that those of then did not, so that they were not recorded: " + missing}
	}
	return nil
}

// unrecorded names the claims that today's policies read and the record cannot
// have; then is the set that decided, nil where it is not kept.
func (t *storyteller) unrecorded(then, today *policies.Set) string {
	if p := broker.Phase(t.record.Phase); p != broker.PhaseUser && p != broker.PhaseRefresh {
		return ""
	}
	names, all := today.Claims()
	var had []string
	if then != nil {
		known, every := then.Claims()
		if every {
			return ""
		}
		had = known
	}
	if all {
		return "any of them"
	}
	return strings.Join(slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, recorded := t.input.User.Claims[name]
		return recorded || slices.Contains(had, name)
	}), ", ")
}

// then is the set of the revision that decided.
func (t *storyteller) then(ctx context.Context, active *policies.Set) (*policies.Set, error) {
	switch {
	case !t.kept:
		return nil, errors.New("the policies of revision " + t.record.Revision + " are not kept any more")
	case active.Revision() == t.record.Revision:
		return active, nil
	}
	return policies.LoadBundle(ctx, t.bundle, policies.Config{})
}

// terms are those of the record's grant, which a refresh may go on on.
func (t *storyteller) terms(ctx context.Context) (*broker.Settings, error) {
	if t.record.GrantID == "" || t.record.Phase != string(broker.PhaseRefresh) {
		return nil, nil
	}
	if n := len(t.record.Phases); len(t.record.Phases[n-1].Winner) > 0 || len(t.record.Settings) == 0 {
		return nil, nil
	}
	g, ok, err := t.store.Begin().Grant(ctx, t.record.GrantID)
	if err != nil || !ok {
		return nil, err
	}
	terms := broker.StrictSettings()
	return &terms, json.Unmarshal(g.Settings, &terms)
}

// again asks one set.
func (t *storyteller) again(ctx context.Context, asked rehearsal.Recorded, set *policies.Set) *storyAnswer {
	out := &storyAnswer{Answer: answerSame, Revision: set.Revision(), Engine: set.Engine()}
	a, err := asked.Again(ctx, set)
	if err != nil {
		out.Answer, out.Why = answerNone, err.Error()
		switch {
		case errors.Is(err, rehearsal.ErrMasked):
			out.Why = "erased or masked: " + strings.Join(slices.Concat(t.record.Erased, t.record.Masked), ", ")
		case errors.Is(err, rehearsal.ErrNoInput):
			out.Why = "erased or masked: the record has no input any more"
		}
		return out
	}
	d := a.Decision
	out.Allowed, out.Reason, out.Winner, out.Differs = d.Allowed, string(d.Reason), d.Winner, a.Differs
	out.Phase = &decisionlog.Phase{
		Phase: string(d.Phase), Allowed: d.Allowed, Reason: string(d.Reason), Winner: d.Winner, Why: d.Why, NearestMiss: d.NearestMiss,
		Candidates: d.Candidates, Denials: d.Denials, Warnings: d.Warnings, Explanation: d.Explanation,
	}
	if out.Settings, err = json.Marshal(d.Settings); err != nil {
		out.Why = err.Error()
	}
	if len(a.Differs) == 0 {
		return out
	}
	out.Answer, out.Why = answerDiffers, "not as recorded: "+strings.Join(a.Differs, ", ")
	if set.Engine() != t.record.Engine {
		out.Answer, out.Why = answerEngine, "the record was decided by "+t.record.Engine+"; "+out.Why
	}
	return out
}

// grants follows what came of the decision: of its grant, or of the client's
// life from then on.
func (t *storyteller) grants(ctx context.Context) error {
	r := t.record
	q := store.RecordQuery{ClientID: r.ClientID, Since: r.Timestamp, Limit: 1000}
	switch {
	case r.GrantID != "":
		q = store.RecordQuery{GrantID: r.GrantID, Limit: 1000}
	case r.ClientID == "" || r.Outcome == decisionlog.OutcomeRefused:
		return nil
	}
	records, err := t.records(ctx, q)
	for _, one := range records {
		if one.GrantID == "" || r.Incarnation != 0 && one.Incarnation != 0 && one.Incarnation != r.Incarnation {
			continue
		}
		t.follow(one)
	}
	return err
}

// follow enters one record in the story of its grant.
func (t *storyteller) follow(r decisionlog.Record) {
	i := slices.IndexFunc(t.out.Grants, func(g storyGrant) bool { return g.ID == r.GrantID })
	if i < 0 {
		i = len(t.out.Grants)
		t.out.Grants = append(t.out.Grants, storyGrant{ID: r.GrantID, At: r.Timestamp})
	}
	g := &t.out.Grants[i]
	g.LastAt = r.Timestamp
	if g.Subject == "" {
		g.Subject = r.Subject
	}
	switch r.Event {
	case decisionlog.EventTokenIssued:
		g.Issued++
	case decisionlog.EventTokenRefreshed:
		g.Refreshed++
	case decisionlog.EventGrantEnded, decisionlog.EventConsentWithdrawn, decisionlog.EventTokenReuseDetected, decisionlog.EventTokenReplayDetected, decisionlog.EventTokenRevoked:
		g.Ended, g.EndedAt, g.EndedBy = r.Event, r.Timestamp, r.Actor
	}
}
