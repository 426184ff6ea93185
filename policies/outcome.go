package policies

import (
	"fmt"
	"slices"
	"strings"
)

// outcome is one way to be granted what was asked, with what is left open.
type outcome struct {
	conds []Condition
	why   []string // why this is not exact
}

// doubt keeps a reason against exactness once.
func (o *outcome) doubt(why ...string) {
	for _, w := range why {
		if w != "" && !slices.Contains(o.why, w) {
			o.why = append(o.why, w)
		}
	}
}

// demand keeps a condition once.
func (o *outcome) demand(conds ...Condition) {
	for _, c := range conds {
		if !slices.Contains(o.conds, c) {
			o.conds = append(o.conds, c)
		}
	}
}

// and is o with what another outcome adds.
func (o outcome) and(p outcome) outcome {
	out := outcome{slices.Clone(o.conds), slices.Clone(o.why)}
	out.demand(p.conds...)
	out.doubt(p.why...)
	return out
}

// maxOutcomes bounds how many ways one pattern is shown with.
const maxOutcomes = 8

// look finds the ways in which a subject could be granted what was asked.
func (a *asking) look(s *subject) *settled {
	out := &settled{}
	offers := a.offers(s)
	if len(offers) == 0 {
		return out
	}
	var base outcome
	if s.coarse {
		base.doubt(fmt.Sprintf("the policies read who the client is, and at most %d are looked at one by one", maxPersons))
	}
	if out.refused = a.outranked(s, &base); out.refused != nil {
		return out
	}
	for _, o := range offers {
		way, refused := a.refusals(s, o)
		if refused != nil {
			out.refused = refused
			continue
		}
		out.could = append(out.could, base.and(o.outcome).and(way))
	}
	out.could = fewest(out.could)
	if len(out.could) > 0 {
		out.refused = nil
	}
	for i := range out.could {
		if o := &out.could[i]; len(o.conds)+len(o.why) == 0 {
			o.doubt(a.rehearse(s))
		}
	}
	return out
}

// fewest drops the ways that ask for all that another one asks for, and more.
func fewest(all []outcome) []outcome {
	var out []outcome
	for i, o := range all {
		implied := slices.IndexFunc(all, func(p outcome) bool {
			return len(p.conds) < len(o.conds) && o.includes(p)
		})
		same := slices.IndexFunc(all[:i], func(p outcome) bool { return len(p.conds) == len(o.conds) && o.includes(p) })
		if implied < 0 && same < 0 {
			out = append(out, o)
		}
	}
	if len(out) > maxOutcomes {
		out = out[:maxOutcomes]
		out[maxOutcomes-1].doubt("there are more ways than are shown")
	}
	return out
}

// includes reports whether all that p asks for is asked for here too, and p is
// no less exact.
func (o outcome) includes(p outcome) bool {
	return (len(p.why) == 0 || len(o.why) > 0) && !slices.ContainsFunc(p.conds, func(c Condition) bool { return !slices.Contains(o.conds, c) })
}

// offer is settings that grant what was asked.
type offer struct {
	outcome
	facts grantFacts
}

// offers evaluates applies and settings of the subject's own policy, met with
// row, guardrails and maxima.
func (a *asking) offers(s *subject) []offer {
	own := outcome{}
	row := s.match().row()
	view := a.sight(s, row, true)
	var ways []outcome
	if r := s.policy.rules["applies"]; r != nil {
		ways = a.applying(r, view, s.policy.name)
	} else {
		ways = []outcome{own}
	}
	ceilings := []variant{{}}
	if g := a.set.guardrails; g != nil {
		ceilings = a.variants(g, a.sight(s, nil, true))
	}
	settings := a.variants(s.policy, view)
	for _, list := range [][]variant{settings, ceilings} {
		if a.allGrant(s, settings, ceilings) && !slices.ContainsFunc(list, func(v variant) bool { return v.open }) {
			for i := range list {
				list[i].when = nil
			}
		}
	}
	var out []offer
	for _, v := range settings {
		for _, c := range ceilings {
			o, ok := a.offer(s, v, c)
			for _, w := range ways {
				if ok && len(out) < maxWays {
					out = append(out, offer{w.and(o.outcome), o.facts})
				}
			}
		}
	}
	if len(out) == maxWays {
		last := &out[maxWays-1] // it stands for all that were left out
		last.doubt("its settings can be more than was looked at")
		last.conds, last.facts = nil, last.facts.unbounded()
	}
	return out
}

// allGrant reports whether it makes no difference which settings and which
// ceiling hold.
func (a *asking) allGrant(s *subject, settings, ceilings []variant) bool {
	for _, v := range settings {
		for _, c := range ceilings {
			if _, ok := a.offer(s, v, c); !ok {
				return false
			}
		}
	}
	return true
}

// applying is the condition that a policy sets on its own matching.
func (a *asking) applying(r *rule, view *sight, name string) []outcome {
	res := a.residue(r, view, trueTerm)
	if res.gaveUp != "" {
		o := outcome{}
		o.doubt(fmt.Sprintf("applies of policy %s: %s (%s)", name, res.gaveUp, r.at(r.line)))
		return []outcome{o}
	}
	var out []outcome
	for _, w := range res.ways {
		o := outcome{}
		if len(w.rest) > 0 {
			o.demand(Condition{Kind: ConditionWhen, Policy: name, Rule: r.name, Text: asWritten(w.rest), Where: whereOf(w.rest, r.at(r.line))})
		}
		out = append(out, o)
	}
	return out
}

// offer completes and bounds one variant of settings, and says whether it
// grants what was asked.
func (a *asking) offer(s *subject, v, ceiling variant) (offer, bool) {
	o := offer{}
	own := partial{}
	for path, value := range v.own {
		own[path] = value
	}
	for _, d := range a.dims {
		for path, value := range d.widest {
			if isUnsure(v.unsure, path) {
				own[path] = value
			}
		}
	}
	t := complete(own, a.set.defaults)
	if r := s.match().row(); r != nil {
		t.bound(r.settings, "the row")
	}
	t.bound(ceiling.own, "the guardrails")
	t.bound(a.set.maxima, "the server maxima")
	if t.conflict != "" {
		return o, false
	}
	for _, d := range a.dims {
		if !d.granted(&t, s.policy) {
			return o, false
		}
	}
	o.demand(v.when...)
	o.demand(ceiling.when...)
	o.doubt(v.why...)
	o.doubt(ceiling.why...)
	r := s.policy.rules["settings"]
	for _, path := range append(slices.Clone(v.unsure), ceiling.unsure...) {
		if consulted(a.dims, path) {
			o.doubt(fmt.Sprintf("%s depends on the request or the document", orAll(path)))
		}
	}
	for _, d := range demands {
		if text := d.text(&a.q, &t); text != "" {
			o.demand(Condition{Kind: ConditionWhen, Policy: s.policy.name, Rule: "settings", Text: text, Where: r.at(r.line)})
		}
	}
	where := s.where
	if s.coarse {
		where = nil
	}
	o.facts = factsOf(&a.q, &t, append(slices.Clone(v.unsure), ceiling.unsure...), where)
	return o, true
}

func orAll(path string) string {
	if path == "" {
		return "what the settings are"
	}
	return path
}

// isUnsure reports whether a member of settings is not known.
func isUnsure(unsure []string, path string) bool {
	return slices.ContainsFunc(unsure, func(u string) bool {
		return u == "" || u == path || strings.HasPrefix(path, u+".")
	})
}

// add shows what was found for a subject.
func (a *asking) add(s *subject, got *settled) {
	g := WhoCanGrant{Policy: s.policy.name, Title: s.policy.title, Mode: s.policy.mode, Pattern: "(every valid client identifier)",
		Registrations: s.registrations(), Where: s.policy.rules["settings"].at(s.policy.rules["settings"].line)}
	if s.entry != nil {
		g.Pattern = s.entry.pattern.text
	}
	if r := s.match().row(); r != nil {
		g.Row, g.Expires = "data."+r.list+"["+r.host+"] "+r.path, r.written
	}
	if got.refused != nil && len(a.out.Never) < a.q.Limit {
		never := g
		never.Exact, never.Conditions = true, []Condition{*got.refused}
		a.out.Never = append(a.out.Never, never)
	}
	if len(got.could) == 0 {
		return
	}
	if n := len(a.out.Policies); n == 0 || a.out.Policies[n-1].Policy != g.Policy {
		a.out.Policies = append(a.out.Policies, WhoCanCount{Policy: g.Policy})
	}
	a.out.Policies[len(a.out.Policies)-1].Count++
	if len(a.out.Could) >= a.q.Limit {
		a.out.Beyond++
		return
	}
	for _, o := range got.could {
		g.Conditions, g.Inexact, g.Exact = o.conds, o.why, len(o.why) == 0
		a.out.Could = append(a.out.Could, g)
	}
}
