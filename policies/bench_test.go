package policies_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"guestlist/broker"
	"guestlist/policies"
)

// many is a root with n policies, one of which names the example client.
func many(n int) files {
	f := files{"p.rego": policy("p", `settings := {"scopes": {"ceiling": ["a", "b"], "default": ["a"]}}

deny contains {"code": "late", "message": "closed at night"} if input.clock.hour > 22

deny_document contains {"code": "write", "message": "no writing"} if "w" in input.effective.scopes`)}
	for i := range n - 1 {
		name := fmt.Sprintf("q%d", i)
		f[name+".rego"] = fmt.Sprintf("package admission.policies.%s\n\nclient_ids := {\"https://h%d.example/x\", \"https://*.w%d.example/**\"}\n\nsettings := {}\n", name, i, i)
	}
	return f
}

// rows is a root with one policy over a list of n rows.
func rows(n int) files {
	var b strings.Builder
	for i := range n - 1 {
		fmt.Fprintf(&b, "\"h%d.example\": [{\"path\": \"/x\", \"owner\": \"o\"}],\n", i)
	}
	b.WriteString(`"app.example.com": [{"path": "/oauth/client.json"}]`)
	return files{"l/data.json": "{\"hosts\": {" + b.String() + "}}", "p.rego": `package admission.policies.p

client_ids_from := data.l.hosts

settings := {"scopes": {"ceiling": ["a", "b"], "default": ["a"]}}

deny contains {"code": "late", "message": "closed at night"} if input.clock.hour > 22

deny_document contains {"code": "write", "message": "no writing"} if "w" in input.effective.scopes
`}
}

// BenchmarkDecide measures phases url and document together; compare with
// BenchmarkBareQuery of the same run.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) { benchmark(b, many(n)) })
	}
	for _, n := range []int{10, 1000, 100000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) { benchmark(b, rows(n)) })
	}
}

func benchmark(b *testing.B, f files) {
	set, _, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
	if err != nil {
		b.Fatal(err)
	}
	url, doc := question(b, example, broker.PhaseURL), question(b, example, broker.PhaseDocument)
	runtime.GC() // what loading left behind is not part of a decision
	b.ReportAllocs()
	defer cpu(b)()
	for n := 0; b.Loop(); n++ {
		for _, q := range []broker.Query{url, doc} {
			// Another question each time: what was just asked is not run again.
			q.Input.Clock.Minute = n % 60
			q.Offer.Resources = resources[n%2]
			q.Input.Request.Resources = []string{resources[n%2][0].ID}
			if d := set.Decide(context.Background(), q); !d.Allowed {
				b.Fatal(d.Detail)
			}
		}
	}
}

// resources are two offers, whose outcomes differ.
var resources = [2][]broker.Resource{{{ID: "https://mcp.example"}}, {{ID: "https://other.example"}}}

// BenchmarkMiss measures the refusal of a client that no policy names.
func BenchmarkMiss(b *testing.B) {
	set, _, err := policies.Load(context.Background(), policies.Config{FS: rows(100000).fs()})
	if err != nil {
		b.Fatal(err)
	}
	q := question(b, "https://stranger.example.org/x", broker.PhaseURL)
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		if d := set.Decide(context.Background(), q); d.Reason != broker.ReasonNoPolicyMatched {
			b.Fatal(d.Detail)
		}
	}
}

// BenchmarkBareQuery is the engine alone: the rules that the two phases of
// BenchmarkDecide ask, as one prepared query each, with input that is already
// parsed.
func BenchmarkBareQuery(b *testing.B) {
	ctx := context.Background()
	module := many(1)["p.rego"]
	body, err := json.Marshal(question(b, example, broker.PhaseDocument).Input)
	if err != nil {
		b.Fatal(err)
	}
	var in any
	if err := json.Unmarshal(body, &in); err != nil {
		b.Fatal(err)
	}
	value, err := ast.InterfaceToValue(in)
	if err != nil {
		b.Fatal(err)
	}
	var queries []rego.PreparedEvalQuery
	for _, text := range []string{"data.admission.policies.p.deny", "data.admission.policies.p.deny; data.admission.policies.p.deny_document"} {
		q, err := rego.New(rego.Query(text), rego.Module("p.rego", module), rego.StrictBuiltinErrors(true)).PrepareForEval(ctx)
		if err != nil {
			b.Fatal(err)
		}
		queries = append(queries, q)
	}
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		for _, q := range queries {
			if _, err := q.Eval(ctx, rego.EvalParsedInput(value)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkAnswers measures each kind of answer of 1,000 policies, both phases,
// as BenchmarkDecide does; compare with its admitted/explain=false.
func BenchmarkAnswers(b *testing.B) {
	const computed = "\n\ndeny contains {\"code\": c, \"message\": \"not now\"} if { c := concat(\"_\", [\"late\", input.client.host]); input.clock.minute >= 0 }\n\ndeny contains {\"code\": \"other\", \"message\": \"never\"} if input.client.port == \"1\"\n"
	literal := strings.ReplaceAll(strings.ReplaceAll(computed, "{\"code\": c,", "{\"code\": \"late\","), "c := ", "_ := ")
	for _, c := range []struct {
		name, file, rules, url string
		want                   broker.Reason
	}{
		{"admitted", "", "", example, ""},
		{"missed", "", "", "https://stranger.example.org/x", broker.ReasonNoPolicyMatched},
		{"denied literal", "p.rego", literal, example, broker.ReasonPolicyDenied},
		{"denied computed", "p.rego", computed, example, broker.ReasonPolicyDenied},
		{"denied by guardrails", "g.rego", "package admission.guardrails" + literal, example, broker.ReasonPolicyDenied},
	} {
		f := many(1000)
		f[c.file] += c.rules
		set, _, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
		if err != nil {
			b.Fatal(err)
		}
		url, doc := question(b, c.url, broker.PhaseURL), question(b, c.url, broker.PhaseDocument)
		for _, explain := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/explain=%v", c.name, explain), func(b *testing.B) {
				b.ReportAllocs()
				defer cpu(b)()
				for n := 0; b.Loop(); n++ {
					for _, q := range []broker.Query{url, doc} {
						q.Explain = explain
						q.Input.Clock.Minute = n % 60 // another question each time
						q.Input.Request.Prompt = []string{fmt.Sprint(n % 2)}
						if d := set.Decide(context.Background(), q); d.Reason != c.want {
							b.Fatalf("%s %s", d.Reason, d.Detail)
						}
					}
				}
			})
		}
	}
}

// BenchmarkLoad measures loading, which a reload pays, and what the set keeps:
// kept-B/item is the memory of one policy or row once the garbage is gone.
func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct {
		name  string
		root  files
		items int
	}{{"policies=1000", many(1000), 1000}, {"rows=100000", rows(100000), 100000}} {
		b.Run(c.name, func(b *testing.B) {
			root := c.root.fs()
			b.ReportAllocs()
			defer cpu(b)()
			before, set := inUse(), (*policies.Set)(nil)
			for b.Loop() {
				var err error
				if set, _, err = policies.Load(context.Background(), policies.Config{FS: root}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(inUse()-before)/float64(c.items), "kept-B/item")
			runtime.KeepAlive(set)
		})
	}
}

// cpu reports the CPU time of the process for each operation: on a busy machine
// the clock on the wall measures the others.
func cpu(b *testing.B) (stop func()) {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	begun := used()
	return func() { b.ReportMetric(float64(used()-begun)/float64(b.N), "cpu-ns/op") }
}

// inUse is the heap after everything that nobody holds is gone.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkWithFacts measures a change of facts beside 100,000 rows: nothing is
// compiled again.
func BenchmarkWithFacts(b *testing.B) {
	f := rows(100000)
	f[policies.FactsFile] = `{"type": "object", "properties": {"freeze": {"type": "boolean", "default": false}}}`
	set, _, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	defer cpu(b)()
	for n := 0; b.Loop(); n++ {
		if _, err := set.WithFacts(map[string]any{"freeze": n%2 == 0}); err != nil {
			b.Fatal(err)
		}
	}
}
