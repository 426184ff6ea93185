package decisionlog

import (
	"fmt"
	"slices"
	"strings"
)

// ReasonDoc is a reason as the reference shows it.
type ReasonDoc struct {
	Code    string // what records have
	Public  string // what a stranger is told instead
	Meaning string // one sentence for the operator
}

// Reference writes events, outcomes, members and the given reasons in
// Markdown. It is made from the tables that the schema is made from.
func Reference(reasons []ReasonDoc) string {
	var b strings.Builder
	b.WriteString("# Reference of the decision log\n\nMade from the code: `guestlist audit reference` prints the one of your binary, " +
		"`guestlist audit schema` the JSON Schema of a record.\n\n" +
		"A record is one JSON object with the names of Open Policy Agent's decision log events where the meaning is the same. " +
		"It has two parts: the header, whose bytes never change, and the body, which holds personal members and can be erased.\n")
	b.WriteString("\n## Events\n\nEvery record has `seq`, `decision_id`, `timestamp`, `event`, `outcome` and `epoch`. Any record may have `erased`, `masked` and `mask_error`, and lack what they name. Where policies were asked it may have `computed`; what that names is shown in its place but stands in the body, and goes with it.\n")
	for _, e := range Events() {
		referEvent(&b, e)
	}
	b.WriteString("\n## Said by other records\n\n`guestlist audit ls --event NAME` knows these names too. What they tell of has no record of its own, so that nothing is written twice. " +
		"A name that ends in a dot stands for every event that begins so: `token.`.\n\n| name | what happened | records |\n|---|---|---|\n")
	for _, a := range Aliases() {
		var means []string
		for _, s := range a.Means {
			means = append(means, s.String())
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.Name, a.When, strings.Join(means, "; "))
	}
	b.WriteString("\n## Outcomes\n\n| outcome | meaning |\n|---|---|\n")
	for _, o := range outcomeDocs {
		fmt.Fprintf(&b, "| `%s` | %s |\n", o[0], o[1])
	}
	b.WriteString("\n## Classes\n\nWhom the body of a record is about decides how long it is kept (`decision_log.retain`). Each record is of the first class that fits; " +
		"what erasing takes is the body alone, and the record is shown with `body_erased`.\n\n| class | records |\n|---|---|\n")
	for _, c := range Classes() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c.Class, c.Meaning)
	}
	b.WriteString("\n## Members\n\n| member | part | in OPA | meaning |\n|---|---|---|---|\n")
	for _, m := range Members() {
		part, opa := "header", ""
		if m.Personal {
			part = "body"
		}
		if m.OPA {
			opa = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, part, opa, m.Meaning)
	}
	b.WriteString("\n## Reasons\n\n| reason | strangers are told | meaning |\n|---|---|---|\n")
	for _, r := range reasons {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", r.Code, r.Public, r.Meaning)
	}
	return b.String()
}

// referEvent writes the page of one event.
func referEvent(b *strings.Builder, e Event) {
	fmt.Fprintf(b, "\n### `%s`\n\n%s\n\n- outcome: %s\n- always: %s\n", e.Name, e.When, quoted(e.Outcomes), quoted(inOrder(e.Has)))
	if len(e.May) > 0 {
		fmt.Fprintf(b, "- may be absent: %s\n", quoted(inOrder(e.May)))
	}
	if e.Actor != "" {
		fmt.Fprintf(b, "- actor: %s\n", e.Actor)
	}
}

// inOrder sorts names of members as records have them.
func inOrder(names []string) []string {
	var out []string
	for _, m := range Members() {
		if slices.Contains(names, m.Name) {
			out = append(out, m.Name)
		}
	}
	return out
}

func quoted(names []string) string { return "`" + strings.Join(names, "` `") + "`" }

// String says in words what s picks.
func (s Selection) String() string {
	out := "`" + s.Event + "`"
	if s.Outcome != "" {
		out += " with outcome `" + s.Outcome + "`"
	}
	if s.PublicReason != "" {
		out += ", public_reason `" + s.PublicReason + "`"
	}
	if s.Created {
		out += ", without `refreshed`"
	}
	if s.Refreshed {
		out += " and `refreshed`"
	}
	return out
}
