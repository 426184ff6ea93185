package policies

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker/cimd"
)

// WhoCanAnswer says which policies, patterns and rows could ever grant what was
// asked. It names too many rather than too few: who is not in it cannot.
type WhoCanAnswer struct {
	Could    []WhoCanGrant // by policy and pattern, Limit of them
	Never    []WhoCanGrant // settings would grant it, but something always refuses; Limit of them
	Policies []WhoCanCount // every policy that could, also where Limit leaves its patterns out
	Beyond   int           // how many Limit leaves out of Could
	Looked   int           // patterns and rows that were looked at
	Unnamed  []string      // scopes that no policy, row or ceiling names anywhere
	Nearest  []string      // the scope that is spelt most like it, for each of Unnamed; "" for none
}

// WhoCanCount is one policy that could grant it.
type WhoCanCount struct {
	Policy string // name
	Count  int    // of its patterns and rows that could
}

// WhoCanGrant is one pattern or row that could grant what was asked. One can be
// there several times, with other conditions.
type WhoCanGrant struct {
	Policy        string      // name; anyone for admission.anyone
	Title         string      // METADATA title
	Mode          string      // enforce or warn
	Pattern       string      // as written
	Row           string      // "data.LIST[HOST] PATH", or ""
	Expires       string      // of the row, as written, or ""
	Registrations []string    // that the policy admits
	Conditions    []Condition // all must be as they say; a condition that cannot be evaluated refuses too
	Exact         bool        // Conditions are all that is left. Whether they can hold together is not checked
	Inexact       []string    // why not exact
	Where         string      // file and line of the settings
}

// asking is one WhoCan under way.
type asking struct {
	partials
	q       WhoCanQuery
	dims    []dimension
	id      *cimd.ID
	plain   map[*policy]bool // no identifier with a query is admitted
	answers map[string]*settled
	persons int // looked at by themselves
	out     WhoCanAnswer
}

// settled is what was found for subjects that are alike.
type settled struct {
	could   []outcome
	refused *Condition
}

var trueTerm = ast.BooleanTerm(true)

// WhoCan answers by partial evaluation over the closed input: what is fixed by
// pattern and question is known, all else is left open. Refresh denials
// do not count: what they end was granted before. Facts are left open, because
// operators change them. Errors say that the question cannot be asked.
func WhoCan(ctx context.Context, set *Set, q WhoCanQuery) (WhoCanAnswer, error) {
	if err := q.check(); err != nil {
		return WhoCanAnswer{}, err
	}
	if q.Limit == 0 {
		q.Limit = 200
	}
	if q.Deadline == 0 {
		q.Deadline = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, q.Deadline)
	defer cancel()
	a := &asking{q: q, dims: q.dimensions(), answers: map[string]*settled{}, plain: map[*policy]bool{},
		partials: partials{set: set, ctx: ctx, kept: map[*rule]map[string]*residue{}, dead: map[*rule]string{}}}
	if q.Client != "" {
		id, err := cimd.Parse(q.Client)
		if err != nil && !cimd.LooksLikeURL(q.Client) {
			id, err = cimd.Opaque(q.Client)
		}
		if err != nil {
			return WhoCanAnswer{}, fmt.Errorf("client %q: %w", clip(q.Client, 200), err)
		}
		a.id = &id
	}
	for _, p := range set.policies {
		a.policy(p)
	}
	if set.anyone != nil {
		a.policy(set.anyone)
	}
	a.unnamed()
	return a.out, nil
}

// policy looks at every pattern of one policy.
func (a *asking) policy(p *policy) {
	if !p.ranks() || a.q.Anyone && p.kind != kindAnyone {
		return
	}
	a.plain[p] = a.takesNoQuery(p)
	for _, s := range a.subjects(p) {
		a.out.Looked++
		a.survey(s)
		key := a.likeness(s)
		got := a.answers[key]
		if got == nil {
			got = a.look(s)
			if len(a.answers) < maxAnswers {
				a.answers[key] = got
			}
		}
		a.add(s, got)
	}
}

// maxAnswers bounds how many answers are kept for subjects that are alike.
const maxAnswers = 20000

// subjects are the identifiers that p matches, a pattern each.
func (a *asking) subjects(p *policy) []*subject {
	if p.kind == kindAnyone {
		if a.id == nil {
			return []*subject{{policy: p}}
		}
		if a.id.IsOpaque() && !slices.Contains(p.registrations, "registered") {
			return nil
		}
		return []*subject{{policy: p, id: a.id, where: patternOf(*a.id)}}
	}
	var out []*subject
	if a.id == nil {
		for _, e := range p.entries {
			if e.row == nil || !e.row.expired(a.q.At) {
				out = append(out, &subject{policy: p, entry: e, where: e.pattern})
			}
		}
		return out
	}
	var best *entry
	for _, e := range a.set.index.lookup(*a.id) {
		if e.policy != p || e.row != nil && e.row.expired(a.q.At) {
			continue
		}
		if best == nil {
			best = e
		} else if n, _ := e.pattern.compare(best.pattern); n > 0 {
			best = e
		}
	}
	if best != nil {
		out = append(out, &subject{policy: p, entry: best, where: patternOf(*a.id), id: a.id})
	}
	return out
}

// patternOf is the pattern of one identifier, its query aside.
func patternOf(id cimd.ID) *pattern {
	if id.IsOpaque() {
		return &pattern{text: id.String(), opaque: true}
	}
	return &pattern{text: id.String(), host: id.Host, port: id.Port, segments: id.Segments, literals: len(id.Segments)}
}

// takesNoQuery reports whether no identifier with a query gets in by p.
func (a *asking) takesNoQuery(p *policy) bool {
	if a.set.defaults["document.allow_query"] == true || p.settings == nil {
		return false
	}
	return p.settings["document.allow_query"] != true
}

// sight is what is known of requests about a subject, for a rule of a policy
// that matched by row.
func (a *asking) sight(s *subject, row *row, rowKnown bool) *sight {
	keys := a.set.keys
	out := newSight(keys)
	out.knowRequest(keys, &a.q)
	if r := s.registrations(); len(r) == 1 {
		out.know("registration", ast.StringTerm(r[0]))
	}
	switch {
	case s.coarse:
		return out
	case s.id != nil:
		out.knowID(keys, *s.id)
	case s.where != nil:
		out.knowClient(keys, s.where, a.plain[s.policy])
	}
	switch {
	case !rowKnown:
	case row == nil:
		out.know("row", ast.NullTerm())
	default:
		if v, err := ast.InterfaceToValue(row.member()); err == nil {
			out.know("row", ast.NewTerm(v))
		}
	}
	return out
}
