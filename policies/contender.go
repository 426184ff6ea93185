package policies

import (
	"fmt"
	"slices"
	"strings"

	"guestlist/broker/cimd"
)

// subject is the identifiers that who-can looks at together: those that match
// one pattern of one policy.
type subject struct {
	policy *policy
	entry  *entry       // nil for admission.anyone
	where  *pattern     // which identifiers; nil: every URL
	id     *cimd.ID     // where the question names one client
	rivals []*contender // other policies that match some of them too
	shaded bool         // another row of the same list, with other settings, decides for some of them
	open   bool         // there are more overlaps than were looked at
	coarse bool         // it stands for more clients than can be looked at one by one
}

func (s *subject) match() *match { return &match{policy: s.policy, entry: s.entry} }

// registrations are those that a client of the subject can have.
func (s *subject) registrations() []string {
	if s.where != nil && s.where.opaque {
		return []string{"registered"}
	}
	return s.policy.registrations
}

// contender is another policy that matches some of a subject's identifiers.
type contender struct {
	*policy
	entries []*entry // that overlap; none for admission.anyone
	covers  bool     // it matches all of them, and no row's end changes that
	partial bool     // entries are not all that overlap
}

// row is what input.row is for the contender; known is false where it is one of
// several.
func (r *contender) row() (row *row, known bool) {
	if r.list == "" {
		return nil, true
	}
	if len(r.entries) == 1 && !r.partial {
		return r.entries[0].row, true
	}
	return nil, false
}

// survey fills in what else matches the subject's identifiers.
func (a *asking) survey(s *subject) {
	found := map[*policy]*contender{}
	var order []*contender
	for _, e := range a.around(s) {
		if e.row != nil && e.row.expired(a.q.At) {
			continue
		}
		if e.policy == s.policy {
			s.shaded = s.shaded || e != s.entry && shades(e, s.entry)
			continue
		}
		r := found[e.policy]
		if r == nil {
			r = &contender{policy: e.policy}
			found[e.policy] = r
			order = append(order, r)
		}
		r.entries = append(r.entries, e)
		r.covers = r.covers || e.lasting(s)
	}
	slices.SortFunc(order, func(x, y *contender) int { return strings.Compare(x.name, y.name) })
	if anyone := a.set.anyone; anyone != nil && s.policy != anyone {
		order = append(order, &contender{policy: anyone, covers: s.where != nil && !s.where.opaque || slices.Contains(anyone.registrations, "registered")})
	}
	for _, r := range order {
		own := s.registrations()
		shared := slices.ContainsFunc(own, func(v string) bool { return slices.Contains(r.registrations, v) })
		r.covers = r.covers && !slices.ContainsFunc(own, func(v string) bool { return !slices.Contains(r.registrations, v) })
		r.partial = s.open
		if shared && r.mode != modeShadow {
			s.rivals = append(s.rivals, r)
		}
	}
}

// lasting reports whether e matches every identifier of the subject, also when
// the rows with an end are over: what they deny is then denied no more.
func (e *entry) lasting(s *subject) bool {
	return s.where != nil && (s.id != nil || e.pattern.covers(s.where)) && (e.row == nil || e.row.written == "")
}

// around are the entries that overlap with the subject.
func (a *asking) around(s *subject) []*entry {
	switch {
	case s.id != nil:
		return a.set.index.lookup(*s.id)
	case s.where != nil:
		list, all := a.set.index.touching(s.where)
		s.open = !all
		return list
	}
	var out []*entry
	for _, p := range a.set.policies {
		if p.mode != modeOff && len(p.entries) > 0 {
			out = append(out, p.entries[0])
		}
	}
	return out
}

// shades reports whether a row e of the same list takes identifiers from own,
// and decides otherwise about them.
func shades(e, own *entry) bool {
	if own == nil || e.row == nil || own.row == nil || e.row.digest() == own.row.digest() {
		return false
	}
	n, _ := e.pattern.compare(own.pattern)
	return n > 0
}

// outranked looks at the policies that win over the subject's: over all of it,
// over some of it, or as equals.
func (a *asking) outranked(s *subject, out *outcome) (refused *Condition) {
	var over, equal []string
	for _, r := range s.rivals {
		if !r.ranks() {
			continue
		}
		wins, ties, all := 0, 0, r.covers && r.kind == kindAnyone
		for _, e := range r.entries {
			n, _ := outranks(&match{policy: r.policy, entry: e}, s.match())
			if s.policy.kind == kindAnyone {
				n = 1
			}
			wins, ties = wins+one(n > 0), ties+one(n == 0)
			all = all || n > 0 && r.covers && e.lasting(s)
		}
		if r.kind == kindAnyone {
			continue
		}
		if wins > 0 && all && a.appliesAlways(s, r) {
			return &Condition{Kind: ConditionRefused, Policy: r.name, Text: "policy " + r.name + " ranks over it", Where: fmt.Sprintf("%s:%d", r.file, r.line)}
		}
		if wins > 0 {
			over = append(over, r.name)
		} else if ties > 0 {
			equal = append(equal, r.name)
		}
	}
	if len(over) > 0 {
		out.conds = append(out.conds, Condition{Kind: ConditionUnless, Text: "a policy that ranks over it matches too: " + firstFew(over)})
	}
	if s.shaded {
		out.conds = append(out.conds, Condition{Kind: ConditionUnless, Text: "a more specific row of the same list matches too"})
	}
	if len(equal) > 0 {
		out.why = append(out.why, "at equal rank the settings are met with those of "+firstFew(equal))
	}
	if s.open {
		out.why = append(out.why, "more patterns overlap with it than were looked at")
	}
	return nil
}

// appliesAlways reports whether a rival matches whatever the request is.
func (a *asking) appliesAlways(s *subject, r *contender) bool {
	always, _, _ := a.applies(s, r)
	return always
}

// applies says on which condition a rival matches; when is empty where it
// never does.
func (a *asking) applies(s *subject, r *contender) (always bool, when, why string) {
	rule := r.rules["applies"]
	if rule == nil {
		return true, "", ""
	}
	row, known := r.row()
	res := a.residue(rule, a.sight(s, row, known), trueTerm)
	if res.gaveUp != "" {
		return false, "its rule applies holds", fmt.Sprintf("applies of policy %s: %s (%s)", r.name, res.gaveUp, rule.at(rule.line))
	}
	var texts []string
	for _, w := range res.ways {
		if len(w.rest) == 0 {
			return true, "", ""
		}
		texts = append(texts, asWritten(w.rest))
	}
	return false, strings.Join(texts, " or "), ""
}

// firstFew names the first few.
func firstFew(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}
