package policies

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// inputEnums are members of input that have one of a few values.
var inputEnums = map[string][]string{
	"contract":                  {broker.Contract},
	"registration":              {string(broker.RegistrationCIMD), string(broker.RegistrationPinned), string(broker.RegistrationRegistered)},
	"clock.weekday":             {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"},
	"request.redirect.kind":     {"", "https", "loopback", "private_scheme"},
	"request.redirect.relation": {"", "same_origin", "same_site", "cross_site"},
}

// phaseWords are the values of input.phase.
func phaseWords() []string {
	all := make([]string, len(phases))
	for i, p := range phases {
		all[i] = string(p)
	}
	return all
}

// recordEnums are the members of a record that have one of a few values; a text
// that the record does not have is empty.
func recordEnums() map[string][]string {
	out := map[string][]string{"phase": append(phaseWords(), ""), "reason": {""}, "public_reason": {""}, "registration": append(slices.Clone(inputEnums["registration"]), "")}
	for _, e := range decisionlog.Events() {
		out["event"], out["outcome"] = append(out["event"], e.Name), append(out["outcome"], e.Outcomes...)
	}
	for _, r := range broker.Reasons() {
		out["reason"], out["public_reason"] = append(out["reason"], string(r.Reason)), append(out["public_reason"], string(r.Public))
	}
	for name, words := range out {
		slices.Sort(words)
		out[name] = slices.Compact(words)
	}
	return out
}

// words are the members of the input of a package that have one of a few
// values, by their path. A library may be used with either input.
func (k kind) words() map[string][]string {
	input := maps.Clone(inputEnums)
	input["phase"] = phaseWords()
	if k != kindMask && k != kindLibrary {
		return input
	}
	out := recordEnums()
	for path, words := range input {
		out["input."+path] = words
		if k == kindLibrary {
			out[path] = append(out[path], words...)
		}
	}
	return out
}

// wordCheck looks for misspelt values in one rule.
type wordCheck struct {
	p     *pkg
	words map[string][]string
	rule  *ast.Rule
	local map[ast.Var]*ast.Term // by variable of the rule, what it stands for or, after some … in, what it goes through
	out   *report
}

// checkWords warns of a member of the input that is compared with a value that
// it never has. The engine does not know the values.
func (p *pkg) checkWords(out *report) {
	words := p.kind.words()
	for _, r := range p.module.Rules {
		c := &wordCheck{p: p, words: words, rule: r, local: map[ast.Var]*ast.Term{}, out: out}
		c.readLocals()
		ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case *ast.Expr:
				if terms, ok := x.Terms.([]*ast.Term); ok {
					c.call(terms)
				}
			case ast.Call:
				c.call(x)
			case ast.Ref:
				if len(x) > 1 {
					c.compare(x[1], x[0])
				}
			}
			return false
		}).Walk(r)
	}
}

// readLocals notes what the variables of the rule are given. What a name stands
// for that is used twice is not known.
func (c *wordCheck) readLocals() {
	note := func(name, value *ast.Term) {
		if v, ok := name.Value.(ast.Var); ok {
			if c.local[v] != nil {
				value = ast.NullTerm()
			}
			c.local[v] = value
		}
	}
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if x.IsAssignment() {
				note(x.Operand(0), x.Operand(1))
			}
		case *ast.SomeDecl:
			if call, ok := x.Symbols[0].Value.(ast.Call); ok {
				note(call[len(call)-2], call[len(call)-1])
			}
		}
		return false
	}).Walk(c.rule)
}

// call looks at one call, its name first.
func (c *wordCheck) call(terms []*ast.Term) {
	if len(terms) != 3 {
		return
	}
	switch terms[0].String() {
	case ast.Equality.Name, ast.Equal.Name, ast.NotEqual.Name:
		c.compare(terms[1], terms[2])
		c.compare(terms[2], terms[1])
	case ast.Member.Name:
		c.compare(terms[1], terms[2])
	case ast.StartsWith.Name:
		path, known := c.member(terms[1])
		start, ok := terms[2].Value.(ast.String)
		if ok && known != nil && !slices.ContainsFunc(known, func(w string) bool { return strings.HasPrefix(w, string(start)) }) {
			c.warn(terms[2], path, known, "never begins with")
		}
	}
}

// compare warns of each text in value that the member never has.
func (c *wordCheck) compare(member, value *ast.Term) {
	path, known := c.member(member)
	if known == nil {
		return
	}
	for _, t := range c.texts(value, map[ast.Var]bool{}) {
		if !slices.Contains(known, string(t.Value.(ast.String))) {
			c.warn(t, path, known, "is never")
		}
	}
}

// member is the path of a term that has one of a few values, and the values.
func (c *wordCheck) member(t *ast.Term) (path string, known []string) {
	if v, ok := t.Value.(ast.Var); ok && c.local[v] != nil {
		t = c.local[v]
	}
	ref := asRef(t)
	if ref == nil {
		return "", nil
	}
	ref = c.p.spelledOut(ref)
	steps := stringPath(ref)
	if !ref.HasPrefix(ast.InputRootRef) || len(steps) != len(ref)-1 {
		return "", nil
	}
	path = strings.Join(steps, ".")
	return path, c.words[path]
}

// texts are the texts that a term is, holds or is given by the rules that it
// names. A name is looked up once: rules may name each other in as many ways as
// there are.
func (c *wordCheck) texts(t *ast.Term, seen map[ast.Var]bool) []*ast.Term {
	if t == nil {
		return nil
	}
	var out []*ast.Term
	add := func(t *ast.Term) { out = append(out, c.texts(t, seen)...) }
	switch v := t.Value.(type) {
	case ast.String:
		return []*ast.Term{t}
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	case ast.Var:
		if seen[v] {
			break
		}
		seen[v] = true
		if local := c.local[v]; local != nil {
			add(local)
			break
		}
		for _, r := range c.p.module.Rules {
			switch {
			case r.Head.Ref()[0].Value.Compare(v) != 0:
			case r.Head.RuleKind() == ast.MultiValue:
				add(r.Head.Key)
			case len(r.Head.Args) == 0 && len(r.Head.Ref()) == 1 && !r.Default:
				add(r.Head.Value)
			}
		}
	}
	return out
}

// warn reports a text that is no value of the member.
func (c *wordCheck) warn(t *ast.Term, path string, known []string, how string) {
	line := c.rule.Location.Row
	if t.Location != nil {
		line = t.Location.Row
	}
	text := string(t.Value.(ast.String))
	remedy := "guestlist audit reference lists what there is"
	if few := 8; len(known) <= few {
		remedy = "it is one of " + strings.Join(slices.DeleteFunc(slices.Clone(known), func(w string) bool { return w == "" }), ", ")
	}
	c.out.warn(c.p.file, line, "value_unknown", cmp.Or(didYouMean(text, known), remedy), "package %s: input.%s %s %q", c.p.name, path, how, clip(text, 80))
}
