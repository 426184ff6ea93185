package policies

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"guestlist/broker"
)

// Reference writes the contract in Markdown: settings, rules, the members of
// the input by phase, and the codes of findings. It is made from the tables
// that load and decide, so that it cannot say anything else than they do.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Reference of the policy contract\n\nContract `" + contractName + "`. Made from the code: `guestlist policy reference` prints the one of your binary.\n")
	referSettings(&b)
	referRules(&b)
	referInput(&b)
	referRecord(&b)
	b.WriteString("\n## Findings\n\n| code | meaning |\n|---|---|\n")
	for _, code := range slices.Sorted(maps.Keys(findingDocs)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", code, findingDocs[code])
	}
	return b.String()
}

func referSettings(b *strings.Builder) {
	b.WriteString("\n## Settings\n\nThe strict value holds where neither a policy nor `admission.defaults` speaks. " +
		"*Bounded* says how a list row, a policy of equal rank, the ceiling of the guardrails and the server maxima bound the value.\n\n" +
		"| member | accepted | strict value | bounded | what it does |\n|---|---|---|---|---|\n")
	strict := broker.StrictSettings()
	for _, m := range members {
		about := m.about
		if _, idle := notInForce[m.path]; idle {
			about += " *Not in force yet.*"
		}
		fmt.Fprintf(b, "| `%s` | %s | `%s` | %s | %s |\n", m.path, m.accepts(), asText(m.value(&strict)), m.bounds(), about)
	}
}

func asText(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(out)
}

// accepts says what may be written, in the words of the reader's own refusal.
func (m *member) accepts() string {
	_, err := m.read(json.Number("-1"))
	text := ""
	if _, ok := m.value(&broker.Settings{}).(broker.Duration); ok {
		text = "0s to 36500d"
		if _, err = m.read("36500d"); err == nil {
			_, err = m.read("0s")
		}
	}
	if err != nil {
		_, text, _ = strings.Cut(err.Error(), "want ")
		text, _, _ = strings.Cut(text, ", have ")
	}
	if _, err := m.read(nil); err == nil {
		text += ", or null"
	}
	return text
}

// bounds says in words how two values of a member meet, by letting them meet.
func (m *member) bounds() string {
	if slices.Contains(unmet, m.path) {
		return "cannot be bounded"
	}
	s := broker.Settings{}
	meet := func(a, b any) any {
		m.put(&s, a)
		m.meet(&s, b)
		return m.value(&s)
	}
	switch m.value(&s).(type) {
	case bool:
		if meet(true, false) == true {
			return "true if either says so"
		}
		return "true if both say so"
	case broker.Duration, int64:
		return "the smaller"
	case []string:
		if reflect.DeepEqual(meet([]string{"none"}, []string{"private_key_jwt"}), []string{"none", "private_key_jwt"}) {
			return "all of both"
		}
		return "what both have"
	}
	words, _ := strings.CutPrefix(m.accepts(), "one of ")
	order := strings.Split(words, ", ")
	if len(order) < 2 {
		return "the same, or none"
	}
	slices.SortFunc(order, func(a, b string) int {
		if a == b {
			return 0
		}
		return 1 - 2*one(meet(a, b) == any(a))
	})
	return strings.Join(order, " over ")
}

func referRules(b *strings.Builder) {
	b.WriteString("\n## Rules\n\nAny other rule of these packages is a helper and begins with an underscore. A denial is `{code, message, user_message?, remedy?, effect?}`; " +
		"its `effect` is `refuse` (default) or `end_grant`, which ends the grant for ever. A rule that reads `input.time`, `clock`, `now` or `facts` ends a grant only where its head writes `end_grant` out.\n")
	for _, k := range []struct {
		kind kind
		name string
	}{{kindPolicy, "admission.policies.NAME"}, {kindAnyone, "admission.anyone"}, {kindGuardrails, "admission.guardrails"}, {kindDefaults, "admission.defaults"}, {kindMask, "admission.mask"}} {
		fmt.Fprintf(b, "\n### `%s`\n\n| rule | reads | meaning |\n|---|---|---|\n", k.name)
		specs := k.kind.specs()
		for _, name := range names(specs) {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, specs[name].knows(), specs[name].about)
		}
	}
}

// knows says what a rule may read.
func (s ruleSpec) knows() string {
	switch {
	case s.constant:
		return "no input"
	case s.shape == shapeMask:
		return "a decision record"
	}
	out := "up to phase " + string(s.phase)
	if len(s.except) > 0 {
		out += ", not `" + strings.Join(s.except, "`, `") + "`"
	}
	return out
}

func referInput(b *strings.Builder) {
	b.WriteString("\n## Input\n\nEvery member is there from its phase on, with an empty value of its type where nothing is known; " +
		"`row` is null without a list. `published`, `row.settings` and `user.claims` are as somebody else wrote them: what they leave out is absent.\n\n| member | type | from phase |\n|---|---|---|\n")
	var walk func(node map[string]any, path string, phase broker.Phase)
	walk = func(node map[string]any, path string, phase broker.Phase) {
		typ, _ := node["type"].(string)
		switch {
		case typ == "":
			typ = "open"
		case node["format"] != nil:
			typ += ", " + node["format"].(string)
		}
		fmt.Fprintf(b, "| `input.%s` | %s | %s |\n", path, typ, phase)
		below, _ := node["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(below)) {
			walk(below[name].(map[string]any), path+"."+name, phase)
		}
	}
	top := inputSchema(factsSchema{})["properties"].(map[string]any)
	all := slices.Sorted(maps.Keys(top))
	slices.SortStableFunc(all, func(a, b string) int { return memberRank(a) - memberRank(b) })
	for _, name := range all {
		walk(top[name].(map[string]any), name, phases[memberRank(name)])
	}
}

// referRecord lists what admission.mask reads.
func referRecord(b *strings.Builder) {
	b.WriteString("\n## Input of admission.mask\n\nA decision record, asked once for each before it is written. Every member is there, empty where the record has none, but for `input` and `result`. Below " +
		"`input` stands what the policies were given, as the table above has it, and below `result` what they answered. Only what is part of the body can be masked.\n\n| member | type | meaning |\n|---|---|---|\n")
	for _, m := range recordMembers {
		typ := m.typ
		switch {
		case m.text != nil:
			typ = "string"
		case typ == "":
			typ = "object, or absent"
		}
		fmt.Fprintf(b, "| `input.%s` | %s | %s |\n", m.name, typ, m.about)
	}
}
