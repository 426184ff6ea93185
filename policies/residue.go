package policies

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// residue is what partial evaluation leaves of one rule: the ways in which it
// can hold.
type residue struct {
	ways    []way
	support map[string][]*ast.Rule // rules that ways refer to, by reference
	gaveUp  string                 // why the ways are not known; empty: they are all there is
	rule    *rule
}

// way is one way for a rule to hold: its value, where everything in rest holds.
type way struct {
	value *ast.Term
	rest  []*ast.Expr
}

// Bounds of partial evaluation.
const (
	partialShare = 250 * time.Millisecond // of one rule
	maxWays      = 64                     // that are looked at, of one rule
)

// partials evaluates rules as far as a sight allows, each rule and input once.
type partials struct {
	set  *Set
	ctx  context.Context
	kept map[*rule]map[string]*residue
	dead map[*rule]string // rules that failed once, and why; they are not tried again
}

// residue evaluates r. wanted is the value that a complete rule must have, nil
// for any.
func (e *partials) residue(r *rule, s *sight, wanted *ast.Term) *residue {
	input, unknown := s.of(e.set.keys, r.fields)
	if why := e.dead[r]; why != "" {
		return &residue{gaveUp: why, rule: r}
	}
	key := input.String()
	for _, u := range unknown {
		key += " " + u.String()
	}
	known := e.kept[r]
	if known == nil {
		known = map[string]*residue{}
		e.kept[r] = known
	}
	if got := known[key]; got != nil {
		return got
	}
	out := &residue{rule: r}
	if err := e.run(out, input, unknown, wanted); err != nil {
		out.ways, out.gaveUp = nil, "partial evaluation gave up: "+clip(strings.ReplaceAll(err.Error(), "\n", " "), 300)
		if topdown.IsCancel(err) || errors.Is(err, context.DeadlineExceeded) {
			out.gaveUp = "partial evaluation did not finish in its share of the deadline"
			e.dead[r] = out.gaveUp
		}
	}
	known[key] = out
	return out
}

// run is the evaluation itself.
func (e *partials) run(out *residue, input *ast.Term, unknown []*ast.Term, wanted *ast.Term) error {
	r := out.rule
	if err := e.ctx.Err(); err != nil {
		return err
	}
	txn, err := r.rt.store.NewTransaction(e.ctx)
	if err != nil {
		return err
	}
	defer r.rt.store.Abort(e.ctx, txn)
	body, err := r.rt.compiler.QueryCompiler().Compile(r.partialQuery(wanted))
	if err != nil {
		return err
	}
	b := newBudget(e.ctx, partialShare)
	bodies, support, err := topdown.NewQuery(body).WithCompiler(r.rt.compiler).WithStore(r.rt.store).WithTransaction(txn).
		WithCancel(b).WithStrictBuiltinErrors(true).WithMetrics(metrics.NoOp()).WithInput(input).WithUnknowns(unknown).PartialRun(e.ctx)
	if b.look(); err == nil && b.spent {
		err = context.DeadlineExceeded
	}
	if err != nil {
		return err
	}
	if len(bodies) > maxWays {
		return errors.New("more is left than one answer can show")
	}
	out.support = map[string][]*ast.Rule{}
	for _, m := range support {
		for _, rule := range m.Rules {
			ref := m.Package.Path.Extend(rule.Head.Ref()).GroundPrefix().String()
			out.support[ref] = append(out.support[ref], rule)
		}
	}
	for _, body := range bodies {
		out.ways = append(out.ways, newWay(body))
	}
	return nil
}

// partialQuery asks for the value of a rule, or for each element of a set.
func (r *rule) partialQuery(wanted *ast.Term) ast.Body {
	if slices.Contains(denialRules, r.name) {
		return ast.NewBody(ast.NewExpr(ast.NewTerm(r.path.Append(ast.NewTerm(answer)))))
	}
	if wanted != nil {
		return ast.NewBody(ast.Equality.Expr(ast.NewTerm(r.path), wanted))
	}
	return ast.NewBody(ast.Equality.Expr(ast.NewTerm(answer), ast.NewTerm(r.path)))
}

// newWay takes the value out of a body.
func newWay(body ast.Body) way {
	var w way
	for _, e := range body {
		if e.Operator() != nil && e.IsEquality() && !e.Negated {
			a, b := e.Operand(0), e.Operand(1)
			if a != nil && b != nil && a.Value.Compare(answer) == 0 {
				w.value = b
				continue
			}
			if a != nil && b != nil && b.Value.Compare(answer) == 0 {
				w.value = a
				continue
			}
		}
		if e.Equal(ast.NewExpr(ast.BooleanTerm(true))) {
			continue
		}
		w.rest = append(w.rest, e)
	}
	return w
}
