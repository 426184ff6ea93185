package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/policies"
	"guestlist/policies/corpus"
)

// failures turns tests that did not pass, into findings.
func (t *tried) failures() {
	for _, r := range t.tests {
		if r.Outcome == policies.TestPassed {
			continue
		}
		message := shortName(r.Name) + " " + r.Outcome
		if r.Error != "" {
			message += ": " + r.Error
		} else if r.Expression != "" {
			message += ": " + r.Expression
		}
		t.find(r.File, r.Line, "test_"+r.Outcome, "", message)
	}
}

// find adds a finding.
func (t *tried) find(file string, line int, code, remedy, message string) {
	t.found = append(t.found, policies.Finding{
		Severity: policies.SeverityWarning, File: file, Line: line, Code: code, Message: message, Remedy: remedy,
	})
}

// cover holds the coverage to its threshold.
func (t *tried) cover(threshold float64) {
	if t.coverage.Percent < threshold {
		t.find(".", 0, "coverage_low", "write tests for the lines that are listed, or lower --threshold",
			fmt.Sprintf("tests evaluate %g %% of the lines of policies, less than %g %%", t.coverage.Percent, threshold))
	}
}

// shortName is the name of a test without its package.
func shortName(name string) string { return name[strings.LastIndex(name, ".")+1:] }

// print writes everything in one of the output formats; a list of decisions
// only where the format has no place for more.
func (t *tried) print(w io.Writer, format string, all bool) error {
	if format == "json" {
		found := findingsTable(t.found).values
		if found == nil {
			found = []any{}
		}
		return printJSON(w, map[string]any{"tests": t.tests, "coverage": t.coverage, "decisions": t.decisions, "changes": t.changes, "findings": found})
	}
	decisions := decisionsTable(t.decisions, all || format != "table")
	if format != "table" {
		return decisions.print(w, format)
	}
	p := &page{}
	t.tried(p)
	if _, err := w.Write(p.buf.Bytes()); err != nil {
		return err
	}
	if len(decisions.rows) > 0 {
		fmt.Fprintln(w)
		if err := decisions.print(w, format); err != nil {
			return err
		}
	}
	p = &page{}
	t.decided(p, all)
	if _, err := w.Write(p.buf.Bytes()); err != nil || len(t.found) == 0 {
		return err
	}
	fmt.Fprintln(w)
	return findingsTable(t.found).print(w, format)
}

// tried writes what came of the tests, and where one failed.
func (t *tried) tried(p *page) {
	counts := map[string]int{}
	for _, r := range t.tests {
		counts[r.Outcome]++
		if r.Outcome == policies.TestPassed {
			continue
		}
		p.line(0, "%s:%d: %s %s", r.File, r.Line, r.Name, r.Outcome)
		p.field(1, "at", strings.Join(slices.DeleteFunc([]string{r.At, r.Expression, r.Error}, func(s string) bool { return s == "" }), ": "))
		p.field(1, "cases", strings.Join(r.Cases, ", "))
		for _, line := range r.Trace {
			p.field(1, "did not hold", line)
		}
		for line := range strings.Lines(r.Prints) {
			p.field(1, "print", strings.TrimRight(line, "\n"))
		}
	}
	p.line(0, "tests      %s", orNone(totals(counts, policies.TestPassed, policies.TestFailed, policies.TestError, policies.TestCut)))
	if t.decisions == nil {
		return
	}
	p.line(0, "coverage   %g %%", t.coverage.Percent)
	for _, f := range t.coverage.Files {
		if len(f.Missing) > 0 {
			p.line(1, "%s: %g %%, not evaluated: %s", f.File, f.Percent, strings.Join(f.Missing, ", "))
		}
	}
}

// decided sums the decisions up, and shows how they changed.
func (t *tried) decided(p *page, all bool) {
	if t.decisions == nil {
		return
	}
	reasons, hidden := map[string]int{}, 0
	for _, d := range t.decisions {
		reasons[d.Reason]++
		if !all && early(d) {
			hidden++
		}
	}
	admitted := reasons[""]
	delete(reasons, "")
	p.line(0, "")
	p.line(0, "decisions  %d: %d admitted, %s", len(t.decisions), admitted, orNone(totals(reasons, slices.Sorted(maps.Keys(reasons))...)))
	if hidden > 0 {
		p.line(0, "           %d that end before a document is fetched are not shown; --all shows them", hidden)
	}
	if t.left > 0 {
		p.line(0, "           %d patterns have no requests of their own", t.left)
	}
	if t.written {
		p.line(0, "           written to %s/%s", t.dir, corpus.GoldenFile)
	}
	if len(t.changes) > 0 {
		p.line(0, "")
		p.line(0, "--- %s/%s", t.dir, corpus.GoldenFile)
		p.line(0, "+++ as decided now")
		for _, line := range t.changes {
			p.line(0, "%s", line)
		}
	}
}

// totals writes counts by name, in the order given.
func totals(counts map[string]int, names ...string) string {
	var out []string
	for _, name := range names {
		if counts[name] > 0 {
			out = append(out, fmt.Sprintf("%d %s", counts[name], name))
		}
	}
	return strings.Join(out, ", ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// early reports whether a request ended before a document was fetched.
func early(d corpus.Decision) bool {
	return d.Outcome == corpus.Refused && (d.Phase == "" || d.Phase == "url") && d.Unexpected == ""
}

// decisionsTable shows decisions, one a row.
func decisionsTable(decisions []corpus.Decision, all bool) table {
	t := table{columns: []string{"SCENE", "OUTCOME", "REASON", "POLICY", "SCOPES", "CONSENT", "REFRESH", "CLIENT TTL"}}
	for _, d := range decisions {
		if !all && early(d) {
			continue
		}
		reason := d.Reason
		if len(d.Denials) > 0 {
			reason += " " + strings.Join(d.Denials, ",")
		}
		t.rows = append(t.rows, []string{d.Scene, d.Outcome, reason, strings.Join(d.Policy, ","), strings.Join(d.Scopes, " "), d.Consent, d.Refresh, d.ClientTTL})
		t.values = append(t.values, d)
	}
	return t
}

// end is the exit of the command.
func (t *tried) end(c *cobra.Command) error {
	if len(t.found) > 0 {
		return &findings{text: fmt.Sprintf("%s: %s", t.dir, count(len(t.found), "finding"))}
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s: all is well\n", t.dir)
	return nil
}
