package policies

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxCopies bounds how often one value may hold another, as far as the text of
// the policies shows it. Thirty rules that each hold the one before twice are a
// thousand million copies, which neither the engine's type checker nor a call
// such as json.marshal ever ends with.
const maxCopies = 1000

// copies counts, without evaluating anything, how often the value of a rule can
// hold what it is made of.
type copies struct {
	rules  map[string][]*ast.Rule // by path, joined
	owners map[*ast.Rule]*pkg
	known  map[string]int // 0 while it is being counted
}

// checkCopies refuses rules whose value grows with every step.
func (u *unit) checkCopies(out *report) {
	c := &copies{rules: map[string][]*ast.Rule{}, owners: map[*ast.Rule]*pkg{}, known: map[string]int{}}
	each := func(do func(p *pkg, key string, r *ast.Rule)) {
		for _, p := range u.packages {
			for _, r := range p.module.Rules {
				do(p, strings.Join(append(append([]string{}, p.path...), headPath(r.Head.Ref())...), sep), r)
			}
		}
	}
	each(func(p *pkg, key string, r *ast.Rule) {
		c.rules[key] = append(c.rules[key], r)
		c.owners[r] = p
	})
	told := map[*pkg]bool{} // the rules after the first grow because it does
	each(func(p *pkg, key string, r *ast.Rule) {
		if c.rule(key) > maxCopies && !told[p] {
			told[p] = true
			out.fail(p.file, r.Location.Row, "value_grows", "build it from fewer copies of the same value",
				"package %s: %s holds a value more than %d times", p.name, r.Head.Ref(), maxCopies)
		}
	})
}

// rule is the count of one rule, at least 1.
func (c *copies) rule(key string) int {
	if n, ok := c.known[key]; ok {
		return max(n, 1)
	}
	c.known[key] = 0
	most := 1
	for _, first := range c.rules[key] {
		for r := first; r != nil; r = r.Else {
			b := &scope{copies: c, pkg: c.owners[first], defs: definitions(r), known: map[ast.Var]int{}}
			n := 0
			for _, t := range []*ast.Term{r.Head.Key, r.Head.Value} {
				if t != nil {
					n += b.term(t)
				}
			}
			most = max(most, n)
		}
	}
	c.known[key] = min(most, maxCopies+1)
	return c.known[key]
}

// scope is one rule: its variables, those of what is nested in it included.
type scope struct {
	*copies
	pkg   *pkg
	defs  map[ast.Var][]*ast.Term
	known map[ast.Var]int
}

// definitions are the terms that variables of a rule get their values from.
func definitions(r *ast.Rule) map[ast.Var][]*ast.Term {
	out := map[ast.Var][]*ast.Term{}
	give := func(to *ast.Term, from ...*ast.Term) {
		ast.WalkVars(to, func(v ast.Var) bool {
			out[v] = append(out[v], from...)
			return false
		})
	}
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		switch terms := e.Terms.(type) {
		case []*ast.Term:
			if len(terms) < 3 {
				return false
			}
			give(terms[len(terms)-1], terms[1:len(terms)-1]...) // the result of a call, or the right side
			if e.IsAssignment() || e.IsEquality() {
				give(terms[1], terms[2])
			}
		case *ast.SomeDecl:
			for _, s := range terms.Symbols {
				if call, ok := s.Value.(ast.Call); ok {
					for _, v := range call[1 : len(call)-1] {
						give(v, call[len(call)-1])
					}
				}
			}
		}
		return false
	})
	return out
}

// variable is the count of a variable, at least 1.
func (b *scope) variable(v ast.Var) int {
	if n, ok := b.known[v]; ok {
		return max(n, 1)
	}
	b.known[v] = 0
	most := 1
	for _, t := range b.defs[v] {
		most = max(most, b.term(t))
	}
	b.known[v] = min(most, maxCopies+1)
	return b.known[v]
}

// term is the count of a term; what is written out counts nothing.
func (b *scope) term(t *ast.Term) int {
	n := 0
	add := func(more *ast.Term) { n = min(n+b.term(more), maxCopies+1) }
	switch v := t.Value.(type) {
	case ast.Var:
		key := strings.Join(append(append([]string{}, b.pkg.path...), string(v)), sep)
		return max(b.variable(v), b.rule(key))
	case ast.Ref:
		return b.ref(v)
	case ast.Call:
		for _, arg := range v[1:] {
			add(arg)
		}
		if ref, ok := v[0].Value.(ast.Ref); ok {
			n = min(max(n, 1)*b.ref(ref), maxCopies+1)
		}
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) { add(key); add(value) })
	case *ast.ArrayComprehension:
		add(v.Term)
	case *ast.SetComprehension:
		add(v.Term)
	case *ast.ObjectComprehension:
		add(v.Key)
		add(v.Value)
	case *ast.TemplateString:
		for _, part := range v.Parts {
			if e, ok := part.(*ast.Expr); ok {
				if single, ok := e.Terms.(*ast.Term); ok {
					add(single)
				}
			}
		}
	}
	return n
}

// ref is the count of what a reference leads to.
func (b *scope) ref(ref ast.Ref) int {
	ref = b.pkg.spelledOut(ref)
	if head, ok := ref[0].Value.(ast.Var); ok && !ref.HasPrefix(ast.DefaultRootRef) {
		if ref.HasPrefix(ast.InputRootRef) {
			return 1
		}
		return b.term(ast.NewTerm(head))
	}
	path := stringPath(ref)
	for i := range path {
		if key := strings.Join(path[:i+1], sep); b.rules[key] != nil {
			return b.rule(key)
		}
	}
	return 1
}
