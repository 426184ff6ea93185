package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// maxTrace is how many expressions of policies a failed test shows.
const maxTrace = 5

// failTracer notes which expressions did not hold; it keeps the last few only,
// because a test may try millions.
type failTracer struct {
	test   string // file of the test
	last   *ast.Location
	others []*ast.Location // outside the file of the test, the last ones, in order
}

var _ topdown.QueryTracer = (*failTracer)(nil)

// Enabled implements topdown.QueryTracer.
func (f *failTracer) Enabled() bool { return true }

// Config implements topdown.QueryTracer.
func (f *failTracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent implements topdown.QueryTracer.
func (f *failTracer) TraceEvent(e topdown.Event) {
	expr, ok := e.Node.(*ast.Expr)
	if e.Op != topdown.FailOp || !ok || e.QueryID == 0 || !expr.Location.HasFile() {
		return
	}
	if _, every := expr.Terms.(*ast.Every); every && f.last != nil {
		return // what failed inside it says more
	}
	f.last = expr.Location
	if f.last.File == f.test {
		return
	}
	f.others = slices.DeleteFunc(f.others, func(l *ast.Location) bool { return l.File == f.last.File && l.Row == f.last.Row })
	f.others = append(f.others, f.last)
	if len(f.others) > maxTrace {
		f.others = f.others[1:]
	}
}

// tell writes down what was seen.
func (f *failTracer) tell(r *TestResult) {
	if f.last != nil {
		r.Expression, r.At = sourceOf(f.last), fmt.Sprintf("%s:%d", f.last.File, f.last.Row)
	}
	for _, l := range f.others {
		if l != f.last {
			r.Trace = append(r.Trace, fmt.Sprintf("%s:%d: %s", l.File, l.Row, sourceOf(l)))
		}
	}
}

// sourceOf is the source at a location, on one line.
func sourceOf(l *ast.Location) string {
	return clip(oneLine(string(l.Text)), 200)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// explainTest writes an evaluation error in one line, and names its place.
func explainTest(err error) (text, at string) {
	var e *topdown.Error
	if !errors.As(err, &e) {
		return clip(oneLine(err.Error()), 500), ""
	}
	if e.Location.HasFile() {
		at = fmt.Sprintf("%s:%d", e.Location.File, e.Location.Row)
	}
	return e.Code + ": " + clip(oneLine(e.Message), 500), at
}
