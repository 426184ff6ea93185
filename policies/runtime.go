package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// runtime is a compiled unit with its data, ready for queries. It never
// changes.
type runtime struct {
	*compiled
	store storage.Store
	spelt spelt
}

func (c *compiled) runtime() *runtime {
	return &runtime{compiled: c, store: inmem.NewFromObjectWithOpts(c.base, inmem.OptRoundTripOnWrite(false)), spelt: speltIn(c.modules)}
}

// rule is one prepared query: the value of one rule of one package.
type rule struct {
	name     string
	file     string
	line     int
	rt       *runtime
	body     ast.Body
	rank     int             // of the first phase that knows all it reads
	constant bool            // reads no input
	fields   []int           // of broker.Input that it reads, in order
	path     ast.Ref         // of the rule, from data on
	lines    map[string]int  // line of the first rule by the code of its denial, where it is literal
	computed bool            // the code of a denial is not literal
	personal bool            // reads what may say something of a person, or what a stranger sent beside its client_id
	sure     bool            // lines tell for every denial which rule made it
	ends     map[string]bool // codes of denials that are written with effect end_grant
	wavers   bool            // reads what changes without anybody's doing, or by an operator's word
	last     atomic.Pointer[recalled]
}

// answer is the variable that holds the value of a rule.
const answer = ast.Var("answer")

// prepare compiles the query for a rule.
func (rt *runtime) prepare(p *pkg, name string, parsed []*ast.Rule, d *reader) (*rule, error) {
	ref := ast.DefaultRootRef.Append(ast.StringTerm(p.path[0]))
	for _, part := range append(append([]string{}, p.path[1:]...), name) {
		ref = ref.Append(ast.StringTerm(part))
	}
	body := ast.NewBody(ast.Equality.Expr(ast.NewTerm(answer), ast.NewTerm(ref)))
	body, err := rt.compiler.QueryCompiler().Compile(body)
	if err != nil {
		return nil, err
	}
	found := d.all(compiledRules(rt.compiler, p)[name])
	r := &rule{name: name, file: p.file, line: parsed[0].Location.Row, rt: rt, body: body, path: ref,
		rank: found.rank(), constant: len(found) == 0, lines: map[string]int{}, ends: map[string]bool{}, wavers: found.waver(), personal: found.personal()}
	for member := range found {
		if i := fieldOf(member); i >= 0 {
			r.fields = append(r.fields, i)
		}
	}
	slices.Sort(r.fields)
	r.sure = true
	for _, one := range parsed {
		code := literal(one, "code")
		r.sure = r.sure && code != "" && r.lines[code] == 0
		if code == "" {
			r.computed = true
			continue
		}
		if r.lines[code] == 0 {
			r.lines[code] = one.Location.Row
		}
		r.ends[code] = r.ends[code] || literal(one, "effect") == effectEndGrant
	}
	r.sure = r.sure || len(parsed) == 1
	return r, nil
}

// at names file and line.
func (r *rule) at(line int) string { return fmt.Sprintf("%s:%d", r.file, line) }

// passing reports whether the rule reads what is another in the next request.
// A stranger chooses much of that, so it must not end what others were given;
// and a fact that an operator sets for an hour is not meant to.
func (r *rule) passing() bool {
	return slices.ContainsFunc([]string{"request", "time", "clock", "facts"}, func(member string) bool {
		return slices.Contains(r.fields, fieldOf(member))
	})
}

// evalError is a failed evaluation with its place.
type evalError struct {
	at   string
	err  error
	kind string // what went wrong, without a word of what it went wrong with; empty: the engine gave no code
}

func (e *evalError) Error() string { return e.at + ": " + e.err.Error() }
func (e *evalError) Unwrap() error { return e.err }

// eval runs the query until b is spent. It returns nil for an undefined rule.
func (r *rule) eval(ctx context.Context, input *ast.Term, b *budget, watch ...topdown.QueryTracer) (*ast.Term, error) {
	txn, err := r.rt.store.NewTransaction(ctx)
	if err != nil {
		return nil, &evalError{at: r.at(r.line), err: err}
	}
	defer r.rt.store.Abort(ctx, txn)
	q := topdown.NewQuery(r.body).WithCompiler(r.rt.compiler).WithStore(r.rt.store).WithTransaction(txn).
		WithCancel(b).WithStrictBuiltinErrors(true).WithMetrics(metrics.NoOp())
	if input != nil {
		q = q.WithInput(input)
	}
	for _, w := range watch {
		q = q.WithQueryTracer(w)
	}
	var out *ast.Term
	err = q.Iter(ctx, func(res topdown.QueryResult) error {
		out = res[answer]
		return nil
	})
	if b.look(); err == nil && b.spent {
		err = context.DeadlineExceeded
	}
	if err != nil {
		return nil, r.explain(err)
	}
	return out, nil
}

// explain finds the place of an evaluation error, at least the rule.
func (r *rule) explain(err error) error {
	var e *topdown.Error
	at := r.at(r.line)
	if errors.As(err, &e) && e.Location != nil && e.Location.File != "" {
		at = fmt.Sprintf("%s:%d", e.Location.File, e.Location.Row)
	}
	if topdown.IsCancel(err) || errors.Is(err, context.DeadlineExceeded) {
		return &evalError{at, errors.New("rule " + r.name + " did not finish within its share of the deadline"), "the evaluation did not finish in its time"}
	}
	if errors.As(err, &e) {
		return &evalError{at, errors.New(e.Code + ": " + clip(strings.ReplaceAll(e.Message, "\n", " "), 500)), e.Code}
	}
	return &evalError{at: at, err: err}
}

// loadTime bounds the evaluation of one constant rule at load.
const loadTime = 2 * time.Second

// value evaluates a rule that reads no input.
func (r *rule) value(ctx context.Context) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	t, err := r.eval(ctx, nil, newBudget(ctx, loadTime))
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errors.New("the rule has no value")
	}
	return fromTerm(t)
}
