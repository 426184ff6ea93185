package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
)

// shippedLibrary is where init puts the library, which has tests of its own.
const shippedLibrary = "lib/guestlist/"

// Coverage says which lines of policies the tests evaluated.
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
		missing := map[int]bool{}
		for _, r := range f.NotCovered {
			for row := r.Start.Row; row <= r.End.Row; row++ {
				missing[row] = true
			}
		}
		for _, r := range f.Covered {
			delete(missing, r.Start.Row) // a line counts when any of it was evaluated
		}
		seen := map[int]bool{}
		for _, r := range f.Covered {
			for row := r.Start.Row; row <= r.End.Row; row++ {
				if !missing[row] {
					seen[row] = true
				}
			}
		}
		c.seen, c.miss = c.seen+len(seen), c.miss+len(missing)
		c.files = append(c.files, FileCoverage{File: name, Percent: percent(len(seen), len(missing)), Missing: spans(missing)})
	}
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
	rows := make([]int, 0, len(lines))
	for row := range lines {
		rows = append(rows, row)
	}
	slices.Sort(rows)
	for i := 0; i < len(rows); i++ {
		from := rows[i]
		for i+1 < len(rows) && rows[i+1] == rows[i]+1 {
			i++
		}
		if from == rows[i] {
			out = append(out, fmt.Sprint(from))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", from, rows[i]))
		}
	}
	return out
}
