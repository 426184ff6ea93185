package policies_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
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
	for b.Loop() {
		for _, q := range queries {
			if _, err := q.Eval(ctx, rego.EvalParsedInput(value)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkLoad measures loading, which a reload pays.
func BenchmarkLoad(b *testing.B) {
	for name, f := range map[string]files{"policies=1000": many(1000), "rows=100000": rows(100000)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, _, err := policies.Load(context.Background(), policies.Config{FS: f.fs()}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
