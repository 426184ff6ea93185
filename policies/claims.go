package policies

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// claims are the members of input.user.claims that a set reads.
type claims struct {
	names []string // sorted
	all   bool     // any of them, as far as the text of the policies shows
}

// Claims returns the names of the members of input.user.claims that a decision
// or a mask can depend on, sorted and to be read only; all says that it can
// depend on any. Others change nothing, so that nobody needs to hand them over.
func (s *Set) Claims() (names []string, all bool) { return s.claims.names, s.claims.all }

// readClaims adds what the rules of a unit's packages read. A claim is known by
// its name in the reference, or in a call of object.get; where claims are read
// as a whole or by a variable, any may be.
func (s *Set) readClaims(c *compiled, d *reader) {
	found := &claimReader{graph: d.graph, seen: map[*ast.Rule]bool{}, names: map[string]bool{}, path: []string{"user", "claims"}}
	for _, p := range c.packages {
		for name, rules := range compiledRules(c.compiler, p) {
			if _, ok := p.kind.specs()[name]; ok {
				found.rules(rules)
			}
		}
	}
	s.addClaims(found)
	s.claims.all = s.claims.all || found.all
}

// readMaskClaims adds the claims that the mask names. What it looks at as a
// whole is what the record has, and adds nothing to it.
func (s *Set) readMaskClaims(m *mask, d *reader) {
	found := &claimReader{graph: d.graph, seen: map[*ast.Rule]bool{}, names: map[string]bool{}, path: []string{"input", "user", "claims"}}
	found.rules(m.rule.rt.compiler.GetRulesExact(m.rule.path))
	s.addClaims(found)
}

func (s *Set) addClaims(found *claimReader) {
	names := maps.Clone(found.names)
	for _, name := range s.claims.names {
		names[name] = true
	}
	s.claims.names = slices.Sorted(maps.Keys(names))
}

// claimReader collects the claims that rules read, themselves or through what
// they call.
type claimReader struct {
	graph *ast.Graph
	seen  map[*ast.Rule]bool
	path  []string // of the claims below input
	names map[string]bool
	all   bool
}

func (c *claimReader) rules(rules []*ast.Rule) {
	for _, r := range rules {
		c.rule(r)
	}
}

func (c *claimReader) rule(r *ast.Rule) {
	if c.seen[r] {
		return
	}
	c.seen[r] = true
	named := c.gets(r)
	ast.WalkTerms(r, func(t *ast.Term) bool {
		if ref, ok := t.Value.(ast.Ref); ok && ref.HasPrefix(ast.InputRootRef) && !named[t] {
			c.ref(ref)
		}
		return false
	})
	for node := r; node != nil; node = node.Else {
		for dep := range c.graph.Dependencies(node) {
			if rule, ok := dep.(*ast.Rule); ok {
				c.rule(rule)
			}
		}
	}
}

// gets takes the names of claims out of calls of object.get. It returns the
// references to the claims that serve nothing else: the compiler gives each a
// variable, and calls the function with that.
func (c *claimReader) gets(r *ast.Rule) map[*ast.Term]bool {
	holds, seen, got := map[ast.Var]*ast.Term{}, map[ast.Var]int{}, map[ast.Var]int{}
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		terms, _ := e.Terms.([]*ast.Term)
		if len(terms) == 3 && e.IsEquality() {
			v, isVar := terms[1].Value.(ast.Var)
			ref, isRef := terms[2].Value.(ast.Ref)
			if isVar && isRef && ref.HasPrefix(ast.InputRootRef) && len(ref) == len(c.path)+1 && slices.Equal(stringPath(ref), c.path) {
				holds[v] = terms[2]
			}
		}
		if len(terms) > 2 && terms[0].String() == ast.ObjectGet.Name {
			v, isVar := terms[1].Value.(ast.Var)
			name, literal := terms[2].Value.(ast.String)
			if isVar && literal && holds[v] != nil {
				got[v]++
				c.names[string(name)] = true
			}
		}
		return false
	})
	ast.WalkVars(r, func(v ast.Var) bool {
		seen[v]++
		return false
	})
	named := map[*ast.Term]bool{}
	for v, ref := range holds {
		named[ref] = seen[v] == 1+got[v]
	}
	return named
}

// ref takes the name of a claim out of a reference to the input.
func (c *claimReader) ref(ref ast.Ref) {
	path := stringPath(ref)
	n := min(len(path), len(c.path))
	switch {
	case !slices.Equal(path[:n], c.path[:n]):
	case len(path) > len(c.path):
		c.names[path[n]] = true
	default: // it ends above the claim, or goes on by a variable
		c.all = true
	}
}
