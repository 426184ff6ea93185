package policies_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"guestlist/policies"
)

// crowd is a guest list of n policies for one URL each, and one list of rows
// with two kinds of settings.
func crowd(n, rows int, guard string) files {
	f := files{"l.rego": "package admission.policies.list\n\nclient_ids_from := data.lists.l\n\nsettings := {\"scopes\": {\"ceiling\": [\"r\", \"w\"]}}\n"}
	for i := range n {
		name := fmt.Sprintf("p%04d", i)
		f[name+".rego"] = fmt.Sprintf("package admission.policies.%s\n\nclient_ids := {\"https://h%d.example.com/c\"}\n\nsettings := {\"scopes\": {\"ceiling\": [\"r\", \"w\"]}}\n\n", name, i) +
			"deny_user contains {\"code\": \"eng\", \"message\": \"m\"} if {\n\t\"w\" in input.effective.scopes\n\tnot \"eng\" in input.user.groups\n}\n"
	}
	if rows > 0 {
		list := make([]string, 0, rows)
		for i := range rows {
			settings := ""
			if i%2 == 0 {
				settings = `, "settings": {"scopes": {"ceiling": ["r"]}}`
			}
			list = append(list, fmt.Sprintf(`"r%d.example.org": [{"path": "/c"%s}]`, i, settings))
		}
		f["lists/l/data.json"] = "{" + strings.Join(list, ",\n") + "}"
	} else {
		delete(f, "l.rego")
	}
	if guard != "" {
		f["g.rego"] = "package admission.guardrails\n\n" + guard + "\n"
	}
	return f
}

// A thousand policies and a hundred thousand rows are answered in seconds, also
// where a rule of the guardrails reads who the client is.
func TestWhoCanOfManyIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		rows  int
		guard string
		exact bool
	}{
		"rows alike":        {10_000, "", true},
		"guardrails differ": {20_000, `deny contains {"code": "host", "message": "m"} if endswith(input.client.host, ".example.net")`, false},
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, crowd(1000, c.rows, c.guard))
			a := whoCan(t, set, policies.WhoCanQuery{Scopes: []string{"w"}, Deadline: 5 * time.Minute})
			if a.Looked != 1000+c.rows || len(a.Policies) != 1001 || a.Policies[0].Count != c.rows/2 || len(a.Could) != 200 || a.Beyond != 800+c.rows/2 {
				t.Errorf("looked at %d, %d policies, %+v, %d shown, %d beyond; want all, 1001 policies, half of the rows, 200 shown", a.Looked, len(a.Policies), a.Policies[0], len(a.Could), a.Beyond)
			}
			if got := a.Could[0].Exact; c.exact && !got {
				t.Errorf("the first row is inexact: %q", a.Could[0].Inexact)
			}
		})
	}
}

// Policies that would run for ever cost one answer its deadline at most, and
// are named rather than left out.
func TestWhoCanIsNotHeldUp(t *testing.T) {
	const busy = `count([1 | some a in numbers.range(1, 2000); some b in numbers.range(1, 2000); a * b == -1]) == 0`
	for name, rules := range map[string]string{
		"settings": "settings := {\"scopes\": {\"ceiling\": [\"w\"]}} if {\n\tinput.published.software_id != \"\"\n\t" + busy + "\n}",
		"applies":  "settings := {\"scopes\": {\"ceiling\": [\"w\"]}}\n\napplies if {\n\tinput.request.par\n\t" + busy + "\n}",
		"denial":   "settings := {\"scopes\": {\"ceiling\": [\"w\"]}}\n\ndeny contains {\"code\": \"c\", \"message\": \"m\"} if {\n\tinput.request.par\n\t" + busy + "\n}",
		"ways":     "settings := {\"scopes\": {\"ceiling\": [\"w\"]}}\n\ndeny contains {\"code\": \"c\", \"message\": sprintf(\"%v%v%v\", [a, b, c])} if {\n\tsome a in numbers.range(1, 100)\n\tsome b in numbers.range(1, 100)\n\tsome c in numbers.range(1, 100)\n\tinput.request.prompt[a] == input.request.prompt[b]\n\tinput.request.prompt[c] == \"x\"\n}",
	} {
		t.Run(name, func(t *testing.T) {
			set := load(t, files{"p.rego": policy("p", rules)})
			start := time.Now()
			a := whoCan(t, set, policies.WhoCanQuery{Scopes: []string{"w"}, Deadline: 5 * time.Second})
			if took := time.Since(start); took > time.Minute {
				t.Errorf("WhoCan took %s, want its deadline of 5 s or a little more", took)
			}
			if len(a.Could) != 1 || a.Could[0].Exact || !strings.Contains(a.Could[0].Inexact[0], "policy p: partial evaluation") || !strings.Contains(a.Could[0].Inexact[0], "p.rego:") {
				t.Errorf("WhoCan = %+v, want p, with the rule that was given up", a.Could)
			}
		})
	}
}
