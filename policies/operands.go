package policies

import (
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxPatternText bounds a literal glob or regex, in bytes: compiled it takes up
// to some thousand times its length.
const maxPatternText = 1000

// wideVerb is what a format may not say: a width or precision of more than three
// digits or taken from an operand, and an operand by its number. A few bytes of
// such a format make gigabytes, in one call that no deadline cuts.
var wideVerb = regexp.MustCompile(`%[-+# 0]*(?:[0-9]{4}|[0-9]*\.[0-9]{4}|[0-9.]*[*\[])`)

// checkOperands refuses calls whose operands decide how much one call takes:
// formats of sprintf and patterns that are computed. The engine cannot be
// stopped inside a call.
func (p *pkg) checkOperands(out *report) {
	for _, r := range p.module.Rules {
		check := func(call []*ast.Term, line int) {
			if len(call) < 2 {
				return
			}
			switch name := call[0].String(); {
			case name == ast.Sprintf.Name:
				format, ok := call[1].Value.(ast.String)
				if !ok || wideVerb.MatchString(strings.ReplaceAll(string(format), "%%", "")) {
					out.fail(p.file, line, "format_open", `write the format out, such as "%s-%d", with widths of at most three digits`,
						"package %s: the format of sprintf decides how large its result is", p.name)
				}
			case isPatternCall(name) && len(call) > patternOperand(name)+1 && !p.boundPattern(r, call[patternOperand(name)+1]):
				out.fail(p.file, line, "pattern_open", "write the pattern out, or take it from a list in data",
					"package %s: the pattern of %s is computed, or longer than %d bytes", p.name, name, maxPatternText)
			}
		}
		ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case *ast.Expr:
				if terms, ok := x.Terms.([]*ast.Term); ok {
					check(terms, exprLine(x, r))
				}
			case *ast.Term:
				if call, ok := x.Value.(ast.Call); ok {
					line := r.Location.Row
					if x.Location != nil {
						line = x.Location.Row
					}
					check(call, line)
				}
			}
			return false
		}).Walk(r)
	}
}

// isPatternCall reports whether a function compiles one of its operands.
func isPatternCall(name string) bool {
	return name == ast.GlobMatch.Name || strings.HasPrefix(name, "regex.")
}

// patternOperand is the position of the one that is compiled.
func patternOperand(name string) int { return one(name == ast.RegexReplace.Name) }

// boundPattern reports whether a pattern stands in the policy or in its data.
func (p *pkg) boundPattern(r *ast.Rule, t *ast.Term) bool {
	switch v := t.Value.(type) {
	case ast.String:
		return len(v) <= maxPatternText
	case ast.Ref:
		return p.spelledOut(v).HasPrefix(ast.DefaultRootRef)
	case ast.Var:
		return p.iteratesData(r) && !assigned(r, v)
	}
	return false
}

// assigned reports whether a rule gives a variable a value of its own.
func assigned(r *ast.Rule, v ast.Var) bool {
	found := false
	ast.WalkExprs(r, func(e *ast.Expr) bool {
		if e.IsAssignment() || e.IsEquality() {
			for _, side := range e.Operands() {
				found = found || side.Value.Compare(v) == 0
			}
		}
		return false
	})
	return found
}
