package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// told is an answer of audit why with its story.
type told struct {
	whyAnswer
	Story *story `json:"story,omitempty"` // nil: no policy was asked
}

// explainTold writes the page of audit why: the answer in short, the records,
// and the policy text.
func explainTold(w io.Writer, t told, verbose bool) error {
	if t.Story == nil {
		return explain(w, t.whyAnswer, verbose)
	}
	records, err := t.logged()
	if err != nil {
		return err
	}
	p := &page{verbose: verbose}
	p.summary(t.whyAnswer, records)
	p.story(t.Story)
	for _, r := range records {
		p.line(0, "")
		if a := t.Story.Then; r.DecisionID == t.Story.DecisionID && a.Answer == answerSame && a.Phase != nil {
			r.Phases[len(r.Phases)-1] = *a.Phase // the same, with its explanation
		}
		p.record(r)
	}
	p.policyText(t.Story.Policies)
	_, err = w.Write(p.buf.Bytes())
	return err
}

// story writes what is beside the records, a line or two each.
func (p *page) story(s *story) {
	p.field(0, "decided again", s.Then.verdict())
	p.field(0, "today", s.Today.verdict())
	if f := s.InForce; f != nil {
		p.field(0, "policy", fmt.Sprintf("in force since %s, from %s", stamp(f.Since), orDash(f.Source)))
		p.field(0, "activated by", f.Actor)
		p.facts(f.Values)
	}
	if d := s.Document; d != nil {
		kept := "its bytes are kept"
		if !d.Kept {
			kept = "its bytes are not kept any more"
		}
		p.field(0, "document seen", fmt.Sprintf("%s, %d bytes, %s", d.SHA256, d.Bytes, kept))
	}
	p.cameOfIt(s.Grants)
}

// verdict is an answer in one line.
func (a *storyAnswer) verdict() string {
	answer := "allowed"
	if !a.Allowed {
		answer = "refused, " + a.Reason
	}
	if len(a.Winner) > 0 {
		answer += ", by " + strings.Join(a.Winner, ", ")
	}
	switch a.Answer {
	case answerSame:
		return "the same: " + answer
	case answerDiffers, answerEngine:
		return answer + "; " + a.Why
	}
	return "not replayable: " + a.Why
}

// facts writes the values that decided.
func (p *page) facts(values map[string]any) {
	var list []string
	for name, v := range values {
		list = append(list, name+"="+written(v))
	}
	slices.Sort(list)
	p.field(0, "facts", strings.Join(list, " "))
}

// cameOfIt writes the grants, one a line.
func (p *page) cameOfIt(grants []storyGrant) {
	for i, g := range grants {
		name := map[bool]string{true: "came of it"}[i == 0]
		line := fmt.Sprintf("grant %s, from %s: %s, refreshed %s", g.ID, stamp(g.At), number(g.Issued, "token"), number(g.Refreshed, "time"))
		if g.Ended != "" {
			line += fmt.Sprintf("; %s %s", g.Ended, stamp(g.EndedAt))
			if g.EndedBy != "" {
				line += " by " + g.EndedBy
			}
		}
		p.line(0, "%-16s %s", name, line)
	}
}

// policyText writes the rules that decided, as they stood.
func (p *page) policyText(rules []storyRule) {
	for _, r := range rules {
		p.line(0, "")
		p.line(0, "%s.%s, %s", r.Policy, r.Rule, r.Location)
		at, err := strconv.Atoi(r.Location[strings.LastIndexByte(r.Location, ':')+1:])
		if err != nil { // a row
			p.line(2, "%s", r.Text)
			continue
		}
		for i, line := range strings.Split(r.Text, "\n") {
			p.line(1, "%4d  %s", at+i, strings.ReplaceAll(line, "\t", "    "))
		}
	}
}

// logged decodes the records of an answer.
func (t told) logged() ([]logged, error) { return decodeLogged(t.Records) }

// last is the record that the story is about.
func (t told) last() (logged, error) {
	records, err := t.logged()
	for _, r := range records {
		if t.Story != nil && r.DecisionID == t.Story.DecisionID {
			return r, nil
		}
	}
	if len(records) == 0 {
		return logged{}, err
	}
	return records[len(records)-1], err
}

// orDash is s, or a dash for nothing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
