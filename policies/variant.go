package policies

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// variant is one value that settings (or a ceiling) can take.
type variant struct {
	own    partial
	unsure []string // paths whose value depends on the request; "" for all
	when   []Condition
	why    []string // why this is not exact
	open   bool     // it may also have no value at all
}

// hole stands in a value for what is not known.
type hole struct{}

// reading is one way to read a term: a value of the types of JSON, with holes.
type reading struct {
	value any
	when  []Condition
	why   []string
	open  bool // it may also have no value at all
}

// maxDepth bounds how far references are followed.
const maxDepth = 16

// variants lists what the settings of p can be. Where more is open than can be
// listed, one of them is unsure of everything.
func (e *partials) variants(p *policy, s *sight) []variant {
	r := p.rules[p.settingsRule()]
	if r == nil || p.settings != nil {
		return []variant{{own: p.settings}}
	}
	res := e.residue(r, s, nil)
	all := variant{unsure: []string{""}}
	if res.gaveUp != "" {
		all.why = []string{fmt.Sprintf("%s of policy %s: %s (%s)", r.name, p.name, res.gaveUp, r.at(r.line))}
		return []variant{all}
	}
	var out []variant
	for _, w := range res.ways {
		rd := &termReader{res: res, policy: p}
		for _, got := range rd.read(w.value, 0) {
			if v, ok := p.variant(got); ok {
				rest := slices.DeleteFunc(slices.Clone(w.rest), namesOnly)
				v.open = v.open || len(rest) > 0
				if len(rest) > 0 {
					v.when = append([]Condition{{Kind: ConditionWhen, Policy: p.name, Rule: r.name, Text: asWritten(rest), Where: whereOf(rest, r.at(r.line))}}, v.when...)
				}
				out = append(out, v)
			}
		}
	}
	if len(out) > maxWays {
		all.why = []string{fmt.Sprintf("%s of policy %s can be more than one answer can show (%s)", r.name, p.name, r.at(r.line))}
		return []variant{all}
	}
	return out
}

// variant decodes a reading; ok is false where it is an error for certain.
func (p *policy) variant(got reading) (variant, bool) {
	v := variant{when: got.when, why: got.why, open: got.open}
	rest, holes := cutHoles(got.value, "")
	v.unsure = holes
	own, err := p.decode(rest)
	switch {
	case err == nil:
		v.own = own
	case len(holes) == 0:
		return v, false
	default:
		v.unsure = []string{""}
	}
	return v, true
}

// cutHoles takes the holes out of a value and returns their paths.
func cutHoles(v any, path string) (rest any, holes []string) {
	m, ok := v.(map[string]any)
	if _, open := v.(hole); open || !ok && path == "" {
		return map[string]any{}, []string{path}
	}
	if !ok {
		return v, nil
	}
	out := map[string]any{}
	for name, sub := range m {
		at := strings.TrimPrefix(path+"."+name, ".")
		left, open := cutHoles(sub, at)
		if !slices.Contains(open, at) {
			out[name] = left
		}
		holes = append(holes, open...)
	}
	slices.Sort(holes)
	return out, holes
}

// termReader reads terms that partial evaluation left, and follows references to
// rules.
type termReader struct {
	res    *residue
	policy *policy
}

func (t *termReader) read(term *ast.Term, depth int) []reading {
	if term == nil || depth > maxDepth {
		return []reading{{value: hole{}}}
	}
	if term.IsGround() {
		if v, err := fromTerm(term); err == nil {
			return []reading{{value: v}}
		}
	}
	switch v := term.Value.(type) {
	case ast.Object:
		return t.readObject(v, depth)
	case ast.Ref:
		return t.readRef(v, depth)
	}
	return []reading{{value: hole{}}}
}

// readObject reads every member; the readings are all combinations.
func (t *termReader) readObject(o ast.Object, depth int) []reading {
	out := []reading{{value: map[string]any{}}}
	unread := o.Until(func(k, v *ast.Term) bool {
		name, ok := k.Value.(ast.String)
		if !ok {
			return true
		}
		subs := t.read(v, depth+1)
		if len(out)*len(subs) > maxWays {
			subs = []reading{{value: hole{}}}
		}
		var next []reading
		for _, a := range out {
			for _, b := range subs {
				next = append(next, a.with(string(name), b))
			}
		}
		out = next
		return false
	})
	if unread {
		return []reading{{value: hole{}}}
	}
	return out
}

// with is a with one more member.
func (a reading) with(name string, b reading) reading {
	m := map[string]any{}
	for k, v := range a.value.(map[string]any) {
		m[k] = v
	}
	m[name] = b.value
	return reading{m, append(slices.Clone(a.when), b.when...), append(slices.Clone(a.why), b.why...), a.open || b.open}
}

// readRef reads what rules give, those that partial evaluation made and those
// that it left alone.
func (t *termReader) readRef(ref ast.Ref, depth int) []reading {
	rules, raw := t.res.support[ref.String()], false
	if rules == nil && ref.HasPrefix(ast.DefaultRootRef) {
		rules, raw = t.res.rule.rt.compiler.GetRulesExact(ref), true
	}
	if len(rules) == 0 {
		return []reading{{value: hole{}}}
	}
	if rules[0].Head.RuleKind() == ast.MultiValue {
		return []reading{t.readSet(ref, rules)}
	}
	var out []reading
	open := !slices.ContainsFunc(rules, func(r *ast.Rule) bool { return r.Default })
	for _, first := range rules {
		for r := first; r != nil; r = r.Else {
			if len(r.Head.Args) > 0 || len(r.Head.Ref().GroundPrefix()) < len(r.Head.Ref()) {
				return []reading{{value: hole{}}}
			}
			for _, got := range t.read(r.Head.Value, depth+1) {
				got.open = got.open || open
				out = append(out, t.under(got, r, raw || r != first))
			}
		}
	}
	if len(out) > maxWays {
		return []reading{{value: hole{}}}
	}
	return out
}

// under adds the body of the rule that gave a reading.
func (t *termReader) under(got reading, r *ast.Rule, raw bool) reading {
	c := Condition{Kind: ConditionWhen, Policy: t.policy.name, Rule: t.res.rule.name, Text: asWritten(r.Body), Where: whereOf(r.Body, t.res.rule.at(t.res.rule.line))}
	if r.Default {
		c.Text = "no other rule for the same value holds"
	}
	if c.Text != "true" {
		got.when = append([]Condition{c}, got.when...)
	}
	if raw {
		got.why = append(got.why, fmt.Sprintf("a rule that %s of policy %s calls was not looked into (%s)", t.res.rule.name, t.policy.name, c.Where))
	}
	return got
}

// readSet reads all that a set can hold at most.
func (t *termReader) readSet(ref ast.Ref, rules []*ast.Rule) reading {
	all := []any{}
	for _, r := range rules {
		if r.Head.Key == nil || !r.Head.Key.IsGround() {
			return reading{value: hole{}}
		}
		v, err := fromTerm(r.Head.Key)
		if err != nil {
			return reading{value: hole{}}
		}
		if !slices.ContainsFunc(all, func(o any) bool { return reflect.DeepEqual(o, v) }) {
			all = append(all, v)
		}
	}
	return reading{value: all, why: []string{fmt.Sprintf("%s is taken for all that it can hold", strings.TrimPrefix(ref.String(), "data.partial."))}}
}
