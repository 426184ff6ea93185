package policies

import (
	"cmp"
	"fmt"
	"sort"
	"strings"
	"time"
)

// Severities of a Finding.
const (
	SeverityError   = "error"   // the set is not loaded
	SeverityWarning = "warning" // the set is loaded; somebody should look
)

// Finding is one thing that loading has to say about a file.
type Finding struct {
	Severity string // error or warning
	File     string // path below the root it was read from; files of a guardrails root begin with "guardrails:"
	Line     int    // 1 for the first; 0 when no line is to blame
	Code     string // stable snake_case code
	Message  string // what is wrong
	Remedy   string // what to do about it; may be empty
}

// String writes the finding in one line, file and line first.
func (f Finding) String() string {
	at := f.File
	if f.Line > 0 {
		at += fmt.Sprintf(":%d", f.Line)
	}
	s := fmt.Sprintf("%s: %s: %s (%s)", at, f.Severity, f.Message, f.Code)
	if f.Remedy != "" {
		s += "; " + f.Remedy
	}
	return s
}

// report collects findings; the same one is kept once, and of each severity the
// first few: a list of which every row is wrong would fill the memory with them.
type report struct {
	today time.Time // for days that may have passed; zero: none is looked at
	list  []Finding
	seen  map[Finding]bool
	kept  map[string]int // by severity
	left  map[string]int // by severity: those that are only counted
}

func (r *report) add(f Finding) {
	if r.seen == nil {
		r.seen, r.kept, r.left = map[Finding]bool{}, map[string]int{}, map[string]int{}
	}
	switch {
	case r.seen[f]:
	case r.kept[f.Severity] >= maxFindings:
		r.left[f.Severity]++
	default:
		r.seen[f] = true
		r.kept[f.Severity]++
		r.list = append(r.list, f)
	}
}

// full reports whether another error would only be counted.
func (r *report) full() bool { return r.kept[SeverityError] >= maxFindings }

func (r *report) fail(file string, line int, code, remedy, format string, args ...any) {
	r.add(Finding{SeverityError, file, line, code, fmt.Sprintf(format, args...), remedy})
}

func (r *report) warn(file string, line int, code, remedy, format string, args ...any) {
	r.add(Finding{SeverityWarning, file, line, code, fmt.Sprintf(format, args...), remedy})
}

func (r *report) failed() bool {
	return r.kept[SeverityError] > 0
}

// result returns the findings by file and line, and an error that holds every
// finding of severity error.
func (r *report) result() ([]Finding, error) {
	sort.SliceStable(r.list, func(i, j int) bool {
		a, b := r.list[i], r.list[j]
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message)) < 0
	})
	for _, severity := range []string{SeverityError, SeverityWarning} {
		if n := r.left[severity]; n > 0 {
			r.list = append(r.list, Finding{severity, ".", 0, "findings_more", fmt.Sprintf("%d more like these are not shown", n), "mend these first"})
		}
	}
	var lines []string
	for _, f := range r.list {
		if f.Severity == SeverityError {
			lines = append(lines, f.String())
		}
	}
	if len(lines) == 0 {
		return r.list, nil
	}
	return r.list, fmt.Errorf("load policies: %s", strings.Join(lines, "\n"))
}

// Closest returns the name that is nearest to s in spelling, the first of those
// that are, or "" when none is near: what whoever wrote s may have meant. About
// a third of it may differ, one letter at least and three at most; upper case
// and dashes are no difference.
func Closest(s string, names []string) string {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	s = plain(s)
	best, at := "", max(1, min((len(s)+1)/3, 3))+1
	for _, n := range names {
		if d := distance(s, plain(n), at); d < at {
			best, at = n, d
		}
	}
	return best
}

// didYouMean turns the nearest name into a remedy.
func didYouMean(s string, names []string) string {
	if n := Closest(s, names); n != "" {
		return fmt.Sprintf("did you mean %s?", n)
	}
	return ""
}

// distance is the edit distance of a and b, or limit when it is not smaller.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost = 1 + min(prev, row[j], row[j+1])
			}
			prev, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}
