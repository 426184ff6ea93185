package policies_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/policies"
)

// TestHostilePolicies: what loads and cannot be evaluated is a policy_error
// that names policy, file and line, ends within its share of the deadline, and
// touches no client of another policy (design §4, composition 6 and 7).
func TestHostilePolicies(t *testing.T) {
	for _, name := range fixtures(t, "hostile") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".rego"), func(t *testing.T) {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(body), "\n")
			want := strings.TrimPrefix(first, "# want: ")
			f := files{"p.rego": string(body), "ok.rego": "package admission.policies.ok\n\nclient_ids := {\"https://ok.example/x\"}\n\nsettings := {}\n"}
			// What has no end is cut soon; what is refused for what it is gets the
			// time that a busy machine takes to come to it.
			deadline := 60 * time.Millisecond
			if !strings.Contains(want, "did not finish") {
				deadline = 10 * time.Second
			}
			set, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs(), Deadline: deadline})
			if err != nil {
				t.Fatalf("Load = %v, %v", findings, err)
			}
			start := time.Now()
			d := decide(t, set, example, broker.PhaseDocument)
			took := time.Since(start)
			refused(t, d, broker.ReasonPolicyError)
			if !strings.HasPrefix(d.Detail, "policy p: p.rego:") || !strings.Contains(d.Detail, want) {
				t.Errorf("detail = %q, want policy p, its place and %q", d.Detail, want)
			}
			if took > 20*deadline+30*time.Second {
				t.Errorf("took %s with a deadline of %s", took, deadline)
			}
			allowed(t, decide(t, set, "https://ok.example/x", broker.PhaseDocument))
		})
	}
}
