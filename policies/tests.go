package policies

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestConfig says which tests to run.
type TestConfig struct {
	Config                // the roots that hold policies and tests; Maxima, Facts and Deadline take no part
	Run     string        // regular expression over data.PACKAGE.TEST; empty: every test
	Each    time.Duration // bounds one test; zero means 5 s
	Library bool          // coverage counts the shipped library below lib/guestlist too
}

// Outcomes of a test.
const (
	TestPassed = "passed"
	TestFailed = "failed" // it was undefined or false
	TestError  = "error"  // it could not be evaluated: a built-in error, a conflict
	TestCut    = "cut"    // it did not end within its time
)

// TestResult is what came of one test rule.
type TestResult struct {
	Name       string        `json:"name"`                 // data.PACKAGE.TEST
	File       string        `json:"file"`                 // of the test rule
	Line       int           `json:"line"`                 // of the test rule
	Outcome    string        `json:"outcome"`              // one of the Test constants
	Expression string        `json:"expression,omitempty"` // of a failed test: what did not hold, as written
	At         string        `json:"at,omitempty"`         // file:line of Expression, or of the error
	Error      string        `json:"error,omitempty"`      // why it could not be evaluated
	Cases      []string      `json:"cases,omitempty"`      // of a table of cases: those that failed
	Trace      []string      `json:"trace,omitempty"`      // the last expressions of policies that did not hold, file:line first
	Prints     string        `json:"prints,omitempty"`     // what print() wrote
	Took       time.Duration `json:"took_ns"`              // with coverage counted along
}

// TestReport is what came of all of them.
type TestReport struct {
	Tests    []TestResult `json:"tests"`    // by file and line
	Coverage Coverage     `json:"coverage"` // empty where Run chose among the tests
	Findings []Finding    `json:"findings"` // warnings: tests that are switched off, files and roots without any
}

// Failed returns the tests that did not pass.
func (r *TestReport) Failed() []TestResult {
	return slices.DeleteFunc(slices.Clone(r.Tests), func(t TestResult) bool { return t.Outcome == TestPassed })
}

// Test runs the authors' tests: every rule test_… of a *_test.rego file, with
// the built-ins that policies may call and with strict built-in errors, which
// other test runners leave off (a failing built-in is undefined there, so that
// a denial with a mistake in it passes its test). A test is evaluated as it
// stands: input is what it gives by "with", and its members are not checked
// against the contract.
//
// The error says that the roots do not load; Load has the findings.
func Test(ctx context.Context, cfg TestConfig) (*TestReport, error) {
	chosen, err := regexp.Compile(cfg.Run)
	if err != nil {
		return nil, fmt.Errorf("choose tests: %w", err)
	}
	if cfg.Each <= 0 {
		cfg.Each = 5 * time.Second
	}
	out, found := &TestReport{Tests: []TestResult{}}, &report{}
	units := []*unit{parseUnit(readSource(cfg.FS, "", found), false, found)}
	if cfg.Guardrails != nil {
		units = append(units, parseUnit(readSource(cfg.Guardrails, "guardrails:", found), true, found))
	}
	if _, err := found.result(); err != nil {
		return nil, err
	}
	idle, count := &report{}, &coverage{library: cfg.Library}
	for _, u := range units {
		u.idleTests(idle)
		t := trial{unit: u, cfg: cfg, chosen: chosen}
		if err := t.run(ctx, out, count); err != nil {
			return nil, err
		}
	}
	if cfg.Run == "" {
		out.Coverage = count.sum()
	}
	if len(out.Tests) == 0 {
		out.none(cfg.Run, idle)
	}
	out.Findings, _ = idle.result()
	slices.SortFunc(out.Tests, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	return out, nil
}

// none says that no test ran.
func (r *TestReport) none(run string, idle *report) {
	if run != "" {
		idle.warn(".", 0, "tests_missing", "names are data.PACKAGE.TEST", "no test has a name that %q matches", run)
		return
	}
	idle.warn(".", 0, "tests_missing", "write NAME_test.rego beside NAME.rego, with rules that begin with test_", "there is no test")
}

// idleTests finds tests that would pass unseen: rules that are switched off,
// and test files in which nothing is a test.
func (u *unit) idleTests(out *report) {
	for name, m := range u.tests {
		tests := 0
		for _, r := range m.Rules {
			switch first := r.Head.Ref()[0].Value.String(); {
			case strings.HasPrefix(first, tester.TestPrefix):
				tests++
			case strings.HasPrefix(first, "todo_"), strings.HasPrefix(first, "skip_"):
				out.warn(name, r.Location.Row, "test_skipped", "finish it or delete it", "%s is switched off", first)
				tests++
			}
		}
		if tests == 0 {
			out.warn(name, 1, "tests_missing", "a test is a rule that begins with test_", "no rule of the file is a test")
		}
	}
}

// trial runs the tests of one unit.
type trial struct {
	*unit
	cfg    TestConfig
	chosen *regexp.Regexp
	rules  *ast.Compiler
	store  storage.Store
}

// run compiles policies with their tests and evaluates every test once; those
// that failed once more, one by one, to see where.
func (t *trial) run(ctx context.Context, out *TestReport, count *coverage) error {
	all := make(map[string]*ast.Module, len(t.modules)+len(t.tests))
	for name, m := range t.modules {
		all[name] = m
	}
	for name, m := range t.tests {
		all[name] = m
	}
	t.rules = newCompiler().WithEnablePrintStatements(true)
	t.store = (&compiled{unit: t.unit}).runtime().store
	tracer := cover.New()
	// One at a time: coverage slows tests down, and a busy machine must not cut them.
	results, err := t.runner().SetModules(all).SetParallel(1).SetCoverageRuns(nil).SetCoverageQueryTracer(tracer).
		Filter(t.cfg.Run).RunTests(ctx, nil)
	if err != nil {
		return fmt.Errorf("compile the tests: %w", err)
	}
	first := len(out.Tests)
	for r := range results {
		if !r.Skip {
			out.Tests = append(out.Tests, resultOf(r))
		}
	}
	for i := range out.Tests[first:] {
		if at := &out.Tests[first+i]; at.Outcome == TestFailed {
			if err := t.locate(ctx, at); err != nil {
				return err
			}
		}
	}
	count.add(tracer, t.modules)
	return ctx.Err()
}

// runner is what both runs share.
func (t *trial) runner() *tester.Runner {
	return tester.NewRunner().SetCompiler(t.rules).SetStore(t.store).RaiseBuiltinErrors(true).SetTimeout(t.cfg.Each)
}

// locate evaluates a failed test again and notes what did not hold.
func (t *trial) locate(ctx context.Context, at *TestResult) error {
	fails := &failTracer{test: at.File}
	results, err := t.runner().SetParallel(1).SetCoverageQueryTracer(fails).
		Filter("^"+regexp.QuoteMeta(at.Name)+"$").RunTests(ctx, nil)
	if err != nil {
		return fmt.Errorf("run %s again: %w", at.Name, err)
	}
	for range results {
		continue
	}
	fails.tell(at)
	return nil
}

// resultOf reads what the runner says.
func resultOf(r *tester.Result) TestResult {
	out := TestResult{Name: r.Package + "." + r.Name, Outcome: TestPassed, Took: r.Duration, Prints: clip(string(r.Output), 4000)}
	if r.Location != nil {
		out.File, out.Line = r.Location.File, r.Location.Row
	}
	switch {
	case topdown.IsCancel(r.Error):
		out.Outcome, out.Error = TestCut, "the test did not end within its time"
	case r.Error != nil:
		out.Outcome = TestError
		out.Error, out.At = explainTest(r.Error)
	case r.Fail:
		out.Outcome = TestFailed
	}
	for name, sub := range r.SubResults.Iter {
		if sub.Fail && len(sub.SubResults) == 0 {
			out.Cases = append(out.Cases, strings.Join(name, "/"))
		}
	}
	return out
}

// isScene reports whether a file imagines requests for policy test, or is a
// document that one of them names.
func isScene(name string) bool {
	return name == "scenes.json" || strings.HasPrefix(name, "documents/")
}
