package main

import (
	"slices"
	"strconv"
	"strings"

	"guestlist/broker/decisionlog"
	"guestlist/policies"
)

// excerptMax bounds one piece of policy text, in lines.
const excerptMax = 40

// excerpts finds the text of the winner's settings, the rows by which it
// matched, and every rule that refused or warned.
func (t *storyteller) excerpts(set *policies.Set) {
	last := t.record.Phases[len(t.record.Phases)-1]
	for _, p := range set.Policies() {
		if !slices.Contains(last.Winner, p.Name) {
			continue
		}
		line := p.Line
		if i := slices.IndexFunc(t.lines(p.File), func(l string) bool { return strings.HasPrefix(l, "settings") }); i >= 0 {
			line = i + 1
		}
		t.excerpt(p.Name, "settings", p.File, line)
	}
	t.rows(set, last)
	for _, phase := range t.record.Phases {
		for _, d := range slices.Concat(phase.Denials, phase.Warnings) {
			t.denialText(d)
		}
	}
}

// rows finds the list rows by which the winners matched: who answers for them
// stands there.
func (t *storyteller) rows(set *policies.Set, phase decisionlog.Phase) {
	for _, c := range phase.Candidates {
		if c.Row == "" || !slices.Contains(phase.Winner, c.Policy) {
			continue
		}
		if text, ok := set.RowText(c.Row); ok {
			t.out.Policies = append(t.out.Policies, storyRule{c.Policy, "row", c.Row, text})
		}
	}
}

// denialText finds the rule of a denial.
func (t *storyteller) denialText(d decisionlog.Denial) {
	i := strings.LastIndexByte(d.Location, ':')
	if i < 0 {
		return
	}
	if line, err := strconv.Atoi(d.Location[i+1:]); err == nil {
		t.excerpt(d.Policy, d.Rule, d.Location[:i], line)
	}
}

// lines are those of a file of the revision.
func (t *storyteller) lines(file string) []string {
	return strings.Split(string(t.bundle.Files[file]), "\n")
}

// excerpt takes the text from a line to the end of its rule.
func (t *storyteller) excerpt(policy, rule, file string, line int) {
	lines := t.lines(file)
	if line < 1 || line > len(lines) {
		return
	}
	rest := lines[line-1:]
	end := slices.IndexFunc(rest, func(l string) bool { return strings.TrimSpace(l) == "" })
	if end < 0 {
		end = len(rest)
	}
	end = min(end, excerptMax)
	one := storyRule{policy, rule, file + ":" + strconv.Itoa(line), strings.Join(rest[:end], "\n")}
	if !slices.Contains(t.out.Policies, one) {
		t.out.Policies = append(t.out.Policies, one)
	}
}
