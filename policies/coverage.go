package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
)

// shippedLibrary is where init puts the library, which has tests of its own.
const shippedLibrary = "lib/guestlist/"

// Coverage says which lines of policies the tests evaluated. Constants are not
// counted: a test of a list of URLs could only repeat it.
type Coverage struct {
	Percent float64        `json:"percent"` // of all lines that can be; 100 where there are none
	Files   []FileCoverage `json:"files"`   // by name
}

// FileCoverage is Coverage of one file.
type FileCoverage struct {
	File    string   `json:"file"`
	Percent float64  `json:"percent"`
	Missing []string `json:"missing"` // lines never evaluated, as 12 or 12-15
}

// coverage counts lines of several units.
type coverage struct {
	library    bool
	files      []FileCoverage
	seen, miss int
}

// add counts the policies of one unit.
func (c *coverage) add(tracer *cover.Cover, modules map[string]*ast.Module) {
	for name, f := range tracer.Report(modules).Files {
		if modules[name] == nil || !c.library && strings.HasPrefix(name, shippedLibrary) {
			continue
		}
		fixed := constants(modules[name])
		missing := rows(f.NotCovered, fixed)
		for _, r := range f.Covered {
			delete(missing, r.Start.Row) // a line counts when any of it was evaluated
		}
		seen := rows(f.Covered, fixed)
		for row := range missing {
			delete(seen, row)
		}
		c.seen, c.miss = c.seen+len(seen), c.miss+len(missing)
		c.files = append(c.files, FileCoverage{File: name, Percent: percent(len(seen), len(missing)), Missing: spans(missing)})
	}
}

// rows are the lines of ranges, without those that are left out.
func rows(ranges []cover.Range, out map[int]bool) map[int]bool {
	in := map[int]bool{}
	for _, r := range ranges {
		for row := r.Start.Row; row <= r.End.Row; row++ {
			if !out[row] {
				in[row] = true
			}
		}
	}
	return in
}

// constants are the lines of rules that have one value whatever is asked.
func constants(m *ast.Module) map[int]bool {
	out := map[int]bool{}
	for _, r := range m.Rules {
		always := len(r.Body) == 1 && r.Body[0].Equal(ast.NewExpr(ast.BooleanTerm(true)))
		if !always || len(r.Head.Args) > 0 || r.Else != nil || r.Head.Value == nil || !fixed(r.Head.Value) {
			continue
		}
		last, _ := r.Location.End()
		for row := r.Location.Row; row <= last; row++ {
			out[row] = true
		}
	}
	return out
}

// fixed reports whether a value names nothing that could vary.
func fixed(t *ast.Term) bool {
	varies := false
	ast.WalkTerms(t, func(t *ast.Term) bool {
		switch t.Value.(type) {
		case ast.Null, ast.Boolean, ast.Number, ast.String, *ast.Array, ast.Object, ast.Set:
			return false
		}
		varies = true
		return true
	})
	return !varies
}

// sum is the coverage of all units.
func (c *coverage) sum() Coverage {
	slices.SortFunc(c.files, func(a, b FileCoverage) int { return strings.Compare(a.File, b.File) })
	return Coverage{Percent: percent(c.seen, c.miss), Files: c.files}
}

// percent rounds down to a tenth, so that 100 means all.
func percent(seen, missing int) float64 {
	if seen+missing == 0 {
		return 100
	}
	return float64(1000*seen/(seen+missing)) / 10
}

// spans writes lines as ranges.
func spans(lines map[int]bool) []string {
	out := []string{}
	in := slices.Sorted(maps.Keys(lines))
	for i := 0; i < len(in); i++ {
		from := in[i]
		for i+1 < len(in) && in[i+1] == in[i]+1 {
			i++
		}
		if from == in[i] {
			out = append(out, fmt.Sprint(from))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", from, in[i]))
		}
	}
	return out
}
