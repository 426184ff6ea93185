package policies

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reads are the top-level input members that a rule reads, itself or through
// what it calls, each with a place where it is read.
type reads map[string]*ast.Location

// reader computes reads over the dependency graph, each rule once.
type reader struct {
	graph *ast.Graph
	memo  map[*ast.Rule]reads
}

func newReader(c *ast.Compiler) *reader {
	return &reader{graph: c.Graph, memo: map[*ast.Rule]reads{}}
}

// of returns what r reads. The compiler has refused recursion.
func (d *reader) of(r *ast.Rule) reads {
	if got, ok := d.memo[r]; ok {
		return got
	}
	out := reads{}
	d.memo[r] = out
	ast.WalkTerms(r, func(t *ast.Term) bool {
		ref, ok := t.Value.(ast.Ref)
		if !ok || !ref.HasPrefix(ast.InputRootRef) || len(ref) < 2 {
			return false
		}
		if name, ok := ref[1].Value.(ast.String); ok && out[string(name)] == nil {
			loc := t.Location
			if loc == nil {
				loc = r.Location
			}
			out[string(name)] = loc
		}
		return false
	})
	for node := r; node != nil; node = node.Else {
		for dep := range d.graph.Dependencies(node) {
			if rule, ok := dep.(*ast.Rule); ok && rule != r {
				for name, loc := range d.of(rule) {
					if out[name] == nil {
						out[name] = loc
					}
				}
			}
		}
	}
	return out
}

// all unites what several rules of one name read.
func (d *reader) all(rules []*ast.Rule) reads {
	out := reads{}
	for _, r := range rules {
		for name, loc := range d.of(r) {
			if out[name] == nil {
				out[name] = loc
			}
		}
	}
	return out
}

// rank returns the rank of the first phase that has everything; zero is url.
func (r reads) rank() int {
	n := 0
	for name := range r {
		n = max(n, memberRank(name))
	}
	return n
}

// checkReads holds every rule of the contract to the members that it may read.
func (c *compiled) checkReads(out *report) {
	d := newReader(c.compiler)
	for _, p := range c.packages {
		specs := p.kind.specs()
		for name, rules := range compiledRules(c.compiler, p) {
			spec, ok := specs[name]
			if !ok {
				continue
			}
			found := d.all(rules)
			for _, member := range slices.Sorted(maps.Keys(found)) {
				checkRead(p, name, spec, member, found[member], out)
			}
			p.checkEffects(name, found, out)
		}
		c.checkInputs(d, p, out)
	}
}

func checkRead(p *pkg, name string, spec ruleSpec, member string, loc *ast.Location, out *report) {
	r := memberRank(member)
	switch {
	case spec.constant:
		out.fail(loc.File, loc.Row, "not_constant", "", "package %s: %s is read at load and cannot read input.%s", p.name, name, member)
	case slices.Contains(spec.except, member) && member == "now":
		out.fail(loc.File, loc.Row, "phase", "only deny_refresh may read it", "package %s: %s reads input.now", p.name, name)
	case slices.Contains(spec.except, member):
		out.fail(loc.File, loc.Row, "phase", "write a denial; denials run after the negotiation", "package %s: %s reads input.%s, which depends on it", p.name, name, member)
	case r > rank(spec.phase):
		remedy := ""
		if spec.shape == shapeSet {
			remedy = "rename the rule to " + nextRule(r)
		}
		out.fail(loc.File, loc.Row, "phase", remedy, "package %s: %s reads input.%s, which is known from phase %s on", p.name, name, member, phases[min(r, len(phases)-1)])
	}
}

// compiledRules returns the compiled rules of a package by name.
func compiledRules(c *ast.Compiler, p *pkg) map[string][]*ast.Rule {
	out := map[string][]*ast.Rule{}
	if m := c.Modules[p.file]; m != nil {
		for _, r := range m.Rules {
			name := string(r.Head.Ref()[0].Value.(ast.Var))
			out[name] = append(out[name], r)
		}
	}
	return out
}
