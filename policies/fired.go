package policies

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"guestlist/broker/decisionlog"
)

// locate finds the rule that made each denial. A literal code that one rule has
// says it already. Else the rules run once more, watched, on a second share of
// the policy, so that nothing is taken from the decision; what cannot be told then
// keeps the first place that has the code. Where it is to be explained, what
// the rule reads is noted too.
func (d *decision) locate(ctx context.Context, m *match, r *rule, found []decisionlog.Denial) {
	if len(found) == 0 || r.sure && !d.query.Explain {
		return
	}
	input, err := d.question.input(r.fields, m.row())
	if err != nil {
		return
	}
	if m.told == nil {
		m.told = newBudget(ctx, d.share)
	}
	m.told.last = time.Now()
	w := &watcher{rule: r}
	if _, err := r.eval(ctx, input, m.told, w); err != nil {
		return
	}
	for i := range found {
		by := w.maker(found[i])
		if by == nil {
			continue
		}
		found[i].Location = r.at(by.Location.Row)
		if d.query.Explain {
			found[i].Read = r.rt.excerpt(by, input)
		}
	}
}

// watcher sees which rule puts which element into a set.
type watcher struct {
	rule *rule
	made []made
}

// made is one element with the rule that made it.
type made struct {
	by      *ast.Rule
	element decisionlog.Denial
}

var _ topdown.QueryTracer = (*watcher)(nil)

// Enabled switches the tracer on.
func (w *watcher) Enabled() bool { return true }

// Config leaves local names as they are.
func (w *watcher) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent takes the end of each rule that held.
func (w *watcher) TraceEvent(e topdown.Event) {
	r, ok := e.Node.(*ast.Rule)
	if e.Op != topdown.ExitOp || !ok || r.Head.Key == nil || len(w.made) >= 2*maxDenials || !w.rule.path.Equal(r.Path()) {
		return
	}
	v, err := fromTerm(e.Plug(r.Head.Key))
	if err != nil {
		return
	}
	if d, err := decodeDenial(v); err == nil {
		w.made = append(w.made, made{r, d})
	}
}

// maker is the rule that made a denial, of several the first in the file.
func (w *watcher) maker(n decisionlog.Denial) *ast.Rule {
	var first *ast.Rule
	for _, m := range w.made {
		e := m.element
		same := e.Code == n.Code && e.Message == n.Message && e.UserMessage == n.UserMessage && e.Remedy == n.Remedy
		if same && (first == nil || m.by.Location.Row < first.Location.Row) {
			first = m.by
		}
	}
	return first
}

// Bounds of an excerpt.
const (
	maxReads    = 16
	maxReadText = 200
)

// excerpt is what of the input a rule looks at, itself and through what it
// calls.
func (rt *runtime) excerpt(r *ast.Rule, input *ast.Term) []decisionlog.Read {
	var paths []string
	out := []decisionlog.Read{}
	for _, ref := range rt.inputRefs(r, map[*ast.Rule]bool{}) {
		path := stringPath(ref)
		if text := ref[:len(path)+1].String(); len(path) > 0 && !slices.Contains(paths, text) {
			paths = append(paths, text)
			if v := valueAt(input, path); v != nil {
				out = append(out, decisionlog.Read{Path: text, Value: clip(v.String(), maxReadText)})
			}
		}
	}
	slices.SortFunc(out, func(a, b decisionlog.Read) int { return strings.Compare(a.Path, b.Path) })
	return out[:min(len(out), maxReads)]
}

// inputRefs are the references to input of a rule and of the rules that it
// depends on.
func (rt *runtime) inputRefs(r *ast.Rule, seen map[*ast.Rule]bool) []ast.Ref {
	if seen[r] {
		return nil
	}
	seen[r] = true
	var out []ast.Ref
	ast.WalkTerms(r, func(t *ast.Term) bool {
		if ref, ok := t.Value.(ast.Ref); ok && ref.HasPrefix(ast.InputRootRef) {
			out = append(out, ref)
		}
		return false
	})
	for node := r; node != nil; node = node.Else {
		for dep := range rt.compiler.Graph.Dependencies(node) {
			if other, ok := dep.(*ast.Rule); ok {
				out = append(out, rt.inputRefs(other, seen)...)
			}
		}
	}
	return out
}

// valueAt follows a path of names into objects; nil where it leads nowhere.
func valueAt(t *ast.Term, path []string) *ast.Term {
	for _, name := range path {
		if t == nil {
			return nil
		}
		o, ok := t.Value.(ast.Object)
		if !ok {
			return nil
		}
		t = o.Get(ast.StringTerm(name))
	}
	return t
}
