package policies

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// checkCare warns of policies that nobody answers for: no title, no owner, a
// review that is overdue.
func (p *policy) checkCare(out *report) {
	var missing []string
	if p.title == "" {
		missing = append(missing, "title")
	}
	if len(p.authors) == 0 {
		missing = append(missing, "authors")
	}
	if len(missing) > 0 {
		out.warn(p.file, p.line, "metadata_missing", "write them above the package: # METADATA, # title: …, # authors: [Team <mail>]",
			"package %s has no %s", p.name, strings.Join(missing, " and no "))
	}
	// The day itself is still in time.
	if day, err := time.Parse(time.DateOnly, p.reviewBy); err == nil && !out.today.IsZero() && !out.today.Before(day.AddDate(0, 0, 1)) {
		out.warn(p.file, p.line, "review_passed", "look at it again, then set another review_by", "package %s was to be reviewed by %s", p.name, p.reviewBy)
	}
}

// checkApplies warns of a condition that is the same for every request.
func (p *policy) checkApplies(ctx context.Context, out *report) {
	r := p.rules["applies"]
	if r == nil || !r.constant {
		return
	}
	t, err := r.eval(ctx, nil, newBudget(ctx, loadTime))
	switch {
	case err != nil:
		out.fail(p.file, r.line, "applies_invalid", "", "policy %s: applies: %v", p.name, err)
	case t != nil && t.Equal(ast.BooleanTerm(true)):
		out.warn(p.file, r.line, "applies_constant", "leave it out", "policy %s: applies is always true", p.name)
	default:
		out.warn(p.file, r.line, "applies_constant", `write mode := "off" for a policy that is to rest`, "policy %s: applies is never true", p.name)
	}
}

// checkRows warns of rows that are over, once for each list.
func (p *policy) checkRows(out *report) {
	var first *row
	n := 0
	for _, e := range p.entries {
		if e.row != nil && !out.today.IsZero() && e.row.expired(out.today) {
			if n++; first == nil {
				first = e.row
			}
		}
	}
	if n > 0 {
		file, line := p.unit.locate(strings.Split(p.list, "."), first.host)
		out.warn(file, line, "row_expired", "delete what is over, or give it another day", "data.%s: %d of its rows are over and match nobody, the first %s%s since %s", p.list, n, first.host, first.path, first.written)
	}
}

// negotiated are members of the document that say what a client would like;
// what it gets stands in input.effective.
var negotiated = map[string]string{
	"grant_types": "grant_types", "response_types": "response_types", "scope": "scopes",
	"token_endpoint_auth_method": "auth_methods", "token_endpoint_auth_methods_supported": "auth_methods",
}

// checkInputs warns of denials that read what does not decide: a wish of the
// document, or a row where there never is one.
func (c *compiled) checkInputs(d *reader, p *pkg, out *report) {
	rowless := p.kind != kindLibrary && p.rules["client_ids_from"] == nil
	specs, seen := p.kind.specs(), map[*ast.Rule]bool{}
	byName := compiledRules(c.compiler, p)
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		denies := specs[name].shape == shapeSet && name != "warn"
		for _, r := range byName[name] {
			if _, ok := specs[name]; !ok {
				continue
			}
			clear(seen)
			d.refs(r, seen, func(ref ast.Ref, at *ast.Location) {
				path := stringPath(ref)
				switch {
				case denies && len(path) > 1 && path[0] == "published" && negotiated[path[1]] != "":
					out.warn(at.File, at.Row, "published_negotiated", "read input.effective."+negotiated[path[1]]+": what is granted after negotiation",
						"package %s: %s reads input.published.%s, which is what the document wishes for", p.name, name, path[1])
				case rowless && len(path) > 1 && path[0] == "row":
					out.warn(at.File, at.Row, "row_empty", "name a list by client_ids_from, or leave the condition out",
						"package %s: %s reads input.row.%s, and input.row is null where no list is named", p.name, name, path[1])
				}
			})
		}
	}
}

// refs visits the references to input in r and in what it calls.
func (d *reader) refs(r *ast.Rule, seen map[*ast.Rule]bool, visit func(ast.Ref, *ast.Location)) {
	if seen[r] {
		return
	}
	seen[r] = true
	ast.WalkTerms(r, func(t *ast.Term) bool {
		if ref, ok := t.Value.(ast.Ref); ok && ref.HasPrefix(ast.InputRootRef) {
			at := t.Location
			if at == nil {
				at = r.Location
			}
			visit(ref, at)
		}
		return false
	})
	for node := r; node != nil; node = node.Else {
		for dep := range d.graph.Dependencies(node) {
			if rule, ok := dep.(*ast.Rule); ok {
				d.refs(rule, seen, visit)
			}
		}
	}
}

// manyPatterns is how many calls of pattern functions one package may have
// before its decisions take noticeably longer.
const manyPatterns = 20

// checkPatternCalls warns of glob and regex where a list keyed by host would
// cost the same at any size.
func (p *pkg) checkPatternCalls(out *report) {
	calls := 0
	for _, r := range p.module.Rules {
		var at *ast.Expr
		ast.NewGenericVisitor(func(x any) bool {
			e, ok := x.(*ast.Expr)
			if !ok || !patternCall(e) {
				return false
			}
			calls++
			if _, literal := e.Operand(patternOperand(e.Operator().String())).Value.(ast.String); !literal && at == nil {
				at = e
			}
			return false
		}).Walk(r)
		if at != nil && p.iteratesData(r) {
			out.warn(p.file, exprLine(at, r), "pattern_iterated", "keep rows by host and name them with client_ids_from, or look the host up by its name",
				"package %s: a pattern is tried for each entry of data, which takes half a second at 100,000 rows", p.name)
		}
	}
	if calls > manyPatterns {
		out.warn(p.file, p.line, "patterns_many", "name URLs in client_ids or a list: they are found by an index", "package %s calls glob and regex functions at %d places", p.name, calls)
	}
}

func patternCall(e *ast.Expr) bool {
	if !e.IsCall() || len(e.Operands()) < 2 {
		return false
	}
	return isPatternCall(e.Operator().String())
}

// iteratesData reports whether a rule goes through data with a variable.
func (p *pkg) iteratesData(r *ast.Rule) bool {
	found := false
	reads := func(t *ast.Term, whole bool) {
		ref := asRef(t)
		if ref == nil {
			return
		}
		ref = p.spelledOut(ref)
		found = found || ref.HasPrefix(ast.DefaultRootRef) && (whole || !ref.IsGround())
	}
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Every:
			reads(x.Domain, true)
		case *ast.SomeDecl:
			for _, s := range x.Symbols {
				if call, ok := s.Value.(ast.Call); ok {
					reads(call[len(call)-1], true)
				}
			}
		case *ast.Term:
			reads(x, false)
		}
		return false
	}).Walk(r)
	return found
}
