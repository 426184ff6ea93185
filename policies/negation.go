package policies

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// checkNegations refuses "not" over operands that may be absent: the engine
// takes operands out of the negation, so that an absent one makes the whole
// rule vanish, and with it the denial (trap F6). A reference that is negated
// itself, as in "not input.published.logo_uri", is the test of absence.
func (p *pkg) checkNegations(out *report) {
	for _, r := range p.module.Rules {
		ast.NewGenericVisitor(func(x any) bool {
			e, ok := x.(*ast.Expr)
			if !ok || !e.Negated {
				return false
			}
			for _, ref := range operandRefs(e) {
				if ref = p.spelledOut(ref); p.mayBeAbsent(ref) {
					line := r.Location.Row
					if e.Location != nil {
						line = e.Location.Row
					}
					out.fail(p.file, line, "negated_absence", "move the condition to a helper and negate that: _known if …, then: not _known",
						"package %s: %s may be absent, and then the rule does not hold, whatever stands behind not", p.name, ref)
				}
			}
			return false
		}).Walk(r)
	}
}

// operandRefs are the references that are evaluated before the negation of e.
func operandRefs(e *ast.Expr) []ast.Ref {
	var operands []*ast.Term
	switch t := e.Terms.(type) {
	case []*ast.Term:
		operands = t[1:]
	case *ast.Term:
		switch v := t.Value.(type) {
		case ast.Ref:
			operands = v[1:]
		case ast.Call:
			operands = v[1:]
		}
	}
	return refsIn(operands)
}

// refsIn are the references in terms, those in comprehensions left out: what is
// absent there makes an empty one.
func refsIn(terms []*ast.Term) []ast.Ref {
	var out []ast.Ref
	visit := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true
		case ast.Ref:
			out = append(out, x)
		}
		return false
	})
	for _, t := range terms {
		visit.Walk(t)
	}
	return out
}

// spelledOut writes a reference through an import as a reference to what was
// imported.
func (p *pkg) spelledOut(ref ast.Ref) ast.Ref {
	for _, imp := range p.module.Imports {
		if base, ok := imp.Path.Value.(ast.Ref); ok && ref[0].Value.Compare(imp.Name()) == 0 {
			return append(slices.Clone(base), ref[1:]...)
		}
	}
	return ref
}

// mayBeAbsent reports whether a reference leads into what somebody else may
// have left out: the open parts of the input, or data found by a variable.
func (p *pkg) mayBeAbsent(ref ast.Ref) bool {
	path := stringPath(ref)
	switch {
	case ref.HasPrefix(ast.DefaultRootRef):
		return len(path) < len(ref)-1
	case !ref.HasPrefix(ast.InputRootRef) || len(path) == 0:
		return false
	case p.kind == kindMask:
		return len(ref) > 2 || path[0] == "input" || path[0] == "result" // of a record without that, or of another phase
	case path[0] == "row" && p.rules["client_ids_from"] != nil:
		return len(ref) > 3
	}
	for _, open := range [][]string{{"published"}, {"row"}, {"user", "claims"}} {
		if len(ref)-1 > len(open) && strings.Join(path[:min(len(path), len(open))], sep) == strings.Join(open, sep) {
			return true
		}
	}
	return false
}
