package policies

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"guestlist/broker"
)

// settle evaluates the settings of the winners and bounds them. Before phase
// document they may be unknown: then the strict ones stand.
func (d *decision) settle(ctx context.Context) {
	if len(d.winners) == 0 {
		d.keep(ctx)
		return
	}
	if !d.settled() && !d.compose(ctx) {
		return
	}
	d.known = true
	if d.phase == 0 || d.terms.conflict != "" {
		d.skip(nil)
	}
	if d.terms.conflict != "" {
		d.fail(errors.New(d.terms.conflict))
	}
	d.out.Settings, d.out.Written = d.terms.Settings, d.terms.written
	if d.id.HasQuery && !d.terms.Document.AllowQuery {
		d.refuse(broker.Refuse(broker.ReasonQueryNotAllowed, "the identifier has a query, and document.allow_query is false in policy %s", strings.Join(d.out.Winner, " and ")))
	}
}

// keep takes the terms that a grant was made on, where no policy names the
// client any more and they are to hold all the same (on_policy_change: keep).
// Guardrails and maxima bound them as they would a policy's.
func (d *decision) keep(ctx context.Context) {
	if d.query.Kept == nil || d.named {
		return
	}
	ceiling, ok := d.settings(ctx, d.guard)
	if !ok {
		return
	}
	d.terms = terms{Settings: *d.query.Kept}
	d.out.Computed = textsOf(*d.query.Kept)
	if g := d.terms.Require.Groups; len(g) > 0 {
		d.terms.groups = [][]string{g}
	}
	d.trail = d.follow("", nil, nil)
	d.ceil(ceiling)
	d.known, d.out.Kept = true, true
	if d.terms.conflict != "" {
		d.fail(errors.New(d.terms.conflict))
	}
	d.out.Settings = d.terms.Settings
}

// settled takes the terms of a single winner that are the same for every
// request.
func (d *decision) settled() bool {
	if d.query.Explain || len(d.winners) > 1 || d.winners[0].row() != nil || d.winners[0].settled == nil {
		return false
	}
	d.terms = *d.winners[0].settled
	return true
}

// settle makes at load the terms of a policy whose settings and bounds are all
// constant.
func (s *Set) settle(p *policy) {
	var ceiling partial
	if g := s.guardrails; g != nil {
		if g.rules[g.settingsRule()] != nil && g.settings == nil {
			return
		}
		ceiling = g.settings
	}
	if p.settings == nil {
		return
	}
	t := complete(p.settings, s.defaults)
	t.bound(ceiling, "the guardrails")
	t.bound(s.maxima, "the server maxima")
	if b, err := json.Marshal(t.Settings); err == nil {
		t.written = b
	}
	p.settled = &t
}

// compose makes the terms for this request, or says that they cannot be known.
func (d *decision) compose(ctx context.Context) bool {
	ceiling, ok := d.settings(ctx, d.guard)
	if !ok {
		return false
	}
	for i, m := range d.winners {
		own, ok := d.settings(ctx, m)
		if !ok {
			return false
		}
		t := complete(own, d.set.defaults)
		tr := d.follow(m.name, own, d.set.defaults)
		tr.step("scopes.ceiling", &t)
		if r := m.row(); r != nil {
			t.bound(r.settings, "the row")
			tr.row(r, &t)
		}
		if i == 0 {
			d.terms, d.trail = t, tr
		} else {
			d.terms.meet(t, "policy "+m.name)
			d.trail.met(m.name, &d.terms)
		}
	}
	d.ceil(ceiling)
	return true
}

// ceil bounds the terms by what no policy overrides.
func (d *decision) ceil(ceiling partial) {
	d.terms.bound(ceiling, "the guardrails")
	d.trail.step("guardrails", &d.terms)
	d.terms.bound(d.set.maxima, "the server maxima")
	d.trail.step("server maxima", &d.terms)
}

// settings returns what one policy gives, or false when it cannot be known in
// this phase or cannot be evaluated. A nil match gives nothing.
func (d *decision) settings(ctx context.Context, m *match) (partial, bool) {
	if m == nil || m.rules[m.settingsRule()] == nil || m.settings != nil {
		if m == nil {
			return nil, true
		}
		return m.settings, true
	}
	r := m.rules[m.settingsRule()]
	if r.rank > d.phase {
		return nil, false
	}
	t, ok := d.ask(ctx, m, r.name)
	if !ok {
		return nil, false
	}
	if t == nil {
		d.broke(m, &evalError{at: r.at(r.line), err: errors.New(r.name + " is undefined for this request; give it a default")})
		return nil, false
	}
	v, err := fromTerm(t)
	var p partial
	if err == nil {
		p, err = m.decode(v)
	}
	if err != nil {
		d.broke(m, &evalError{at: r.at(r.line), err: err})
		return nil, false
	}
	d.out.Computed = append(d.out.Computed, r.computedOf(t)...)
	return p, true
}

// negotiate intersects document and request with the settings.
func (d *decision) negotiate() {
	if d.phase == 0 {
		return
	}
	empty := broker.Effective{AuthMethods: []string{}, GrantTypes: []string{}, ResponseTypes: []string{}, Scopes: []string{}, Resources: []string{}}
	d.out.Effective = empty
	if d.known && d.broken == nil {
		d.terms.narrowMethods(d.query.Document.AuthMethods())
		d.trail.step("document", &d.terms)
		if d.terms.conflict != "" {
			d.fail(errors.New(d.terms.conflict))
		} else {
			n := broker.Negotiate(d.terms.Settings, d.query.Input, *d.query.Document, d.query.Offer)
			d.out.Effective, d.out.Redirects, d.out.Cut = n.Effective, n.Redirects, d.unsaid(n.Cut)
			d.skip(n.Effective.AuthMethods)
			d.out.Settings, d.out.Written = d.terms.Settings, d.terms.written
			if n.Err != nil {
				d.refuse(n.Err)
			}
			d.demandGroups()
		}
	}
	d.question.setEffective(d.out.Effective)
}

// skip falls back to asking always, unless an exact URL answers on its own
// https origin with a key (design §4, consent).
func (d *decision) skip(methods []string) {
	if d.terms.Consent.Mode != "skip" {
		return
	}
	use := d.query.Input.Request.Redirect
	exact := !slices.ContainsFunc(d.winners, func(m *match) bool { return m.entry == nil || !m.entry.pattern.exact() })
	keyed := len(methods) == 1 && methods[0] == "private_key_jwt"
	if !exact || !keyed || use.Kind != "https" || use.Relation != "same_origin" {
		d.terms.Consent.Mode, d.terms.written = "always", nil
		d.trail.step("the conditions of skip", &d.terms)
	}
}

// demandGroups refuses a person who is in none of the groups.
func (d *decision) demandGroups() {
	if d.phase < rank(broker.PhaseUser) {
		return
	}
	if want := d.terms.lacksGroup(d.query.Input.User.Groups); want != nil {
		d.refuse(broker.Refuse(broker.ReasonGroupRequired, "the person is in none of the groups %s that the settings demand", strings.Join(want, ", ")))
	}
}
