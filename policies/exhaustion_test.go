package policies_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/policies"
)

// grow is a chain of n rules, each made of the one before.
func grow(n int, first, step string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "_x0 := %s\n\n", first)
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "_x%d := %s\n\n", i, strings.ReplaceAll(step, "X", fmt.Sprintf("_x%d", i-1)))
	}
	return b.String()
}

// denyIf is a denial that holds where a condition does.
func denyIf(condition string) string {
	return "deny contains {\"code\": \"x\", \"message\": \"m\"} if " + condition + "\n"
}

// twice is a list of lists of lists, the same one again and again: little to
// keep, and more than anybody can write down.
const twice = "_a := [input.client.host | some _ in numbers.range(1, 2000)]\n\n_b := [_a | some _ in numbers.range(1, 2000)]\n\n_c := [_b | some _ in numbers.range(1, 2000)]\n\n"

// exhausting are policies that never end, or that want more memory than there is.
var exhausting = map[string]string{
	"comprehension":   denyIf("count([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); some c in numbers.range(1, 9000); a + b == c + count(input.client.labels)]) == 1"),
	"range":           denyIf("count(numbers.range(0, 1e12)) == count(input.client.labels)"),
	"range of ints":   denyIf("count(numbers.range(0, 2000000000 + count(input.client.labels))) == 1"),
	"range by steps":  denyIf("count(numbers.range_step(0, 2000000000000, count(input.client.labels))) == 1"),
	"set of pairs":    grow(8, "{1, 2}", "{[a, b] | some a in X; some b in X}") + denyIf("count(_x8) == count(input.client.labels)"),
	"a million keys":  denyIf("count({sprintf(\"%d\", [n]): n | some n in numbers.range(1, 9000000)}) == count(input.client.labels)"),
	"graph":           denyIf("count(graph.reachable({n: [m | some m in numbers.range(1, 9000)] | some n in numbers.range(1, 9000)}, {1})) == count(input.client.labels)"),
	"nested JSON":     denyIf("count(json.unmarshal(concat(\"\", [concat(\"\", [\"[\" | some _ in numbers.range(1, 900000)]), concat(\"\", [\"]\" | some _ in numbers.range(1, 900000)])]))) == count(input.client.labels)"),
	"long number":     denyIf("to_number(concat(\"\", [\"1\" | some _ in numbers.range(1, 5000)])) * count(input.client.labels) == 1"),
	"squares":         grow(9, "count(input.client.labels) * 12345678901234567890", "X * X") + denyIf("_x9 == 1"),
	"replace":         grow(8, "concat(\"\", [\"aaaaaaaaaaaaaaaaaaaaaaaa\", input.client.host])", "replace(X, \"a\", X)") + denyIf("_x8 == \"\""),
	"hex of hex":      grow(40, "input.client.host", "hex.encode(X)") + denyIf("_x40 == \"\""),
	"JSON in JSON":    grow(60, "input.client.labels", "json.marshal(X)") + denyIf("_x60 == \"\""),
	"concat":          grow(9, "input.client.host", "concat(\"\", [X, X])") + denyIf("concat(\"\", [concat(\"\", [concat(\"\", [_x9 | some _ in numbers.range(1, 900)]) | some _ in numbers.range(1, 900)]) | some _ in numbers.range(1, 900)]) == \"\""),
	"array.concat":    grow(9, "input.client.labels", "array.concat(X, X)") + denyIf("count(array.flatten([array.flatten([_x9 | some _ in numbers.range(1, 900)]) | some _ in numbers.range(1, 900)])) == 1"),
	"json.marshal":    twice + denyIf("json.marshal(_c) == \"\""),
	"sprintf":         twice + denyIf("sprintf(\"%v\", [_c]) == \"\""),
	"template":        twice + denyIf("$\"{_c}\" == \"\""),
	"array.flatten":   twice + denyIf("count(array.flatten(_c)) == 1"),
	"object.union":    twice + denyIf("object.union({\"a\": {\"b\": _c}}, {\"a\": {\"c\": 1}}) == json.filter({\"a\": _c}, [\"a\"])"),
	"sort":            twice + denyIf("sort(_c) == []"),
	"the message":     twice + "deny contains {\"code\": \"x\", \"message\": json.marshal(_b)}\n",
	"the result":      twice + "deny contains {\"code\": \"x\", \"message\": _b}\n",
	"the settings":    twice + "settings := {\"tags\": _b}\n",
	"walk":            twice + denyIf("count([1 | walk(_c, [_, _])]) == 1"),
	"many denials":    "deny contains {\"code\": sprintf(\"c%d\", [n]), \"message\": input.client.host} if some n in numbers.range(1, 9000000)\n",
	"regex over text": denyIf("regex.match(\"(.*a){200}b\", concat(\"\", [concat(\"\", [input.client.host | some _ in numbers.range(1, 2000)]) | some _ in numbers.range(1, 2000)]))"),
	"regex.replace":   denyIf("regex.replace(concat(\"\", [input.client.host | some _ in numbers.range(1, 200000)]), \"a\", \"bb\") == \"\""),
}

// Every hostile policy refuses what it matches, with its file and line, and
// takes neither the memory nor the time of a client that it does not match.
func TestExhaustingPolicies(t *testing.T) {
	f := files{"ok.rego": "package admission.policies.ok\n\nclient_ids := {\"https://ok.example/x\"}\n\nsettings := {}\n\n" + denyIf("count(input.client.labels) > 40")}
	url := map[string]string{}
	for name, rules := range exhausting {
		p := fmt.Sprintf("h%d", len(url))
		url[name] = "https://" + p + ".example/x"
		f[p+".rego"] = fmt.Sprintf("package admission.policies.%s\n\nclient_ids := {%q}\n\n%s", p, url[name], rules)
	}
	set := loadConfig(t, policies.Config{FS: f.fs(), Deadline: 100 * time.Millisecond})
	var done atomic.Bool
	peak := make(chan uint64)
	ok := question(t, "https://ok.example/x", broker.PhaseDocument)
	go func() {
		most, n := uint64(0), 0
		for ; !done.Load(); n++ {
			ok.Input.Clock.Minute = n % 60 // not the same question again
			if d := set.Decide(context.Background(), ok); !d.Allowed {
				t.Errorf("a good client was refused beside hostile ones: %s (%s)", d.Reason, d.Detail)
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		if n == 0 {
			t.Error("no good client was asked about")
		}
		peak <- most
	}()
	for name := range exhausting {
		d := decide(t, set, url[name], broker.PhaseDocument)
		if d.Reason != broker.ReasonPolicyError || !strings.Contains(d.Detail, strings.TrimSuffix(strings.TrimPrefix(url[name], "https://"), ".example/x")+".rego:") {
			t.Errorf("%s: Decide = %s %q, want policy_error with file and line", name, d.Reason, d.Detail)
		}
		t.Logf("%-16s %6.0f ms  %s", name, float64(d.Took.Microseconds())/1000, d.Detail)
	}
	done.Store(true)
	if most := <-peak; most > 1<<30 {
		t.Errorf("the heap grew to %d MB", most>>20)
	} else {
		t.Logf("the heap grew to %d MB", most>>20)
	}
}

// However many policies match and however slow each is, the decision ends at
// its deadline.
func TestSlowPoliciesShareTheDeadline(t *testing.T) {
	f := files{}
	for i := range 64 {
		name := fmt.Sprintf("p%d", i)
		f[name+".rego"] = policy(name, exhausting["comprehension"])
	}
	const deadline = 320 * time.Millisecond
	set := loadConfig(t, policies.Config{FS: f.fs(), Deadline: deadline})
	d := decide(t, set, example, broker.PhaseDocument, func(q *broker.Query) { q.Explain = true })
	refused(t, d, broker.ReasonPolicyError)
	if n := len(d.Explanation.Errors); n != 64 || strings.Count(strings.Join(d.Explanation.Errors, "\n"), "deadline") != 64 {
		t.Errorf("%d of 64 policies were cut: %v", n, d.Explanation.Errors)
	}
	if d.Took > 20*deadline+30*time.Second { // 20 are the most on the wall of a busy machine
		t.Errorf("Decide took %s, the deadline is %s", d.Took, deadline)
	}
}
