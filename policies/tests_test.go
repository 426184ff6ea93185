package policies_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/policies"
)

// guarded is a policy with two denials, and what its tests begin with.
const (
	guarded = admits + `
deny_user contains {"code": "eng", "message": "engineers only"} if {
	not "eng" in input.user.groups
}

deny contains {"code": "old", "message": "too many labels"} if {
	count(input.client.labels) > 3
}
`
	testHead = "package admission.policies.p_test\n\n# Line 5 is the first of each test.\n\n"
)

func runTests(t *testing.T, f files, change ...func(*policies.TestConfig)) *policies.TestReport {
	t.Helper()
	cfg := policies.TestConfig{Config: policies.Config{FS: f.fs()}}
	for _, c := range change {
		c(&cfg)
	}
	got, err := policies.Test(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Test = %v", err)
	}
	return got
}

func withTests(rules string) files {
	f := one(guarded)
	f["p_test.rego"] = testHead + rules
	return f
}

func TestTestOutcomes(t *testing.T) {
	for _, c := range []struct {
		name, rule, outcome string
		want                policies.TestResult
	}{
		{"passes", "test_a if count(data.admission.policies.p.deny_user) == 1 with input as {\"user\": {\"groups\": []}}", policies.TestPassed, policies.TestResult{}},
		{"fails", "test_a if {\n\tdenials := data.admission.policies.p.deny_user with input as {\"user\": {\"groups\": [\"eng\"]}}\n\tcount(denials) == 1\n}",
			policies.TestFailed, policies.TestResult{Expression: "count(denials) == 1", At: "p_test.rego:7", Trace: []string{`p.rego:8: not "eng" in input.user.groups`}}},
		{"prints", "test_a if {\n\tprint(\"groups are\", [1])\n\tfalse\n}", policies.TestFailed,
			policies.TestResult{Expression: "false", At: "p_test.rego:7", Prints: "groups are [1]\n"}},
		// Trap F5: undefined with other test runners, so that the test passes.
		{"a built-in error behind not", "test_a if not to_number(\"x\") == 1", policies.TestError,
			policies.TestResult{Error: "eval_builtin_error: to_number: strconv.ParseFloat: parsing \"x\": invalid syntax", At: "p_test.rego:5"}},
		{"a conflict", "test_a if x == 1\n\nx := 1\n\nx := 2", policies.TestError,
			policies.TestResult{Error: "eval_conflict_error: rule data.admission.policies.p_test.x produced conflicting values: 1 at p_test.rego:7 2 at p_test.rego:9", At: "p_test.rego:9"}},
		{"an endless loop", "test_a if {\n\tsome a in numbers.range(1, 3000)\n\tsome b in numbers.range(1, 3000)\n\tsome c in numbers.range(1, 3000)\n\ta + (b + c) < 0\n}",
			policies.TestCut, policies.TestResult{Error: "the test did not end within its time"}},
		{"a huge range", "test_a if count(numbers.range(1, 100000000000)) == 0", policies.TestCut, policies.TestResult{Error: "the test did not end within its time"}},
		{"a table of cases", "test_a[note] if {\n\tsome note, n in {\"one\": 1, \"two\": 2}\n\tn == 1\n}", policies.TestFailed,
			policies.TestResult{Expression: "n == 1", At: "p_test.rego:7", Cases: []string{"two"}}},
		{"inside every", "test_a if {\n\tevery n in [1, 2] {\n\t\tn == 1\n\t}\n}", policies.TestFailed, policies.TestResult{Expression: "n == 1", At: "p_test.rego:7"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := runTests(t, withTests(c.rule+"\n"), func(cfg *policies.TestConfig) {
				if c.outcome == policies.TestCut {
					cfg.Each = 100 * time.Millisecond
				}
			})
			if len(report.Tests) != 1 {
				t.Fatalf("%d tests, want 1", len(report.Tests))
			}
			got := report.Tests[0]
			if got.Name != "data.admission.policies.p_test.test_a" || got.File != "p_test.rego" || got.Line != 5 || got.Outcome != c.outcome {
				t.Errorf("Test = %+v, want outcome %s in line 5", got, c.outcome)
			}
			if got.Expression != c.want.Expression || got.At != c.want.At || got.Prints != c.want.Prints || got.Error != c.want.Error ||
				!slices.Equal(got.Cases, c.want.Cases) || c.want.Trace != nil && !slices.Equal(got.Trace, c.want.Trace) {
				t.Errorf("Test = %+v\nwant %+v", got, c.want)
			}
			if failed := len(report.Failed()) == 1; failed != (c.outcome != policies.TestPassed) {
				t.Errorf("Failed says %v of outcome %s", failed, c.outcome)
			}
		})
	}
}

// A test has the language that policies have, no more.
func TestTestRefusesOtherBuiltins(t *testing.T) {
	_, err := policies.Test(t.Context(), policies.TestConfig{Config: policies.Config{FS: withTests("test_a if time.now_ns() > 0\n").fs()}})
	if err == nil || !strings.Contains(err.Error(), "time.now_ns") {
		t.Errorf("Test = %v, want an error that names time.now_ns", err)
	}
	if _, err := policies.Test(t.Context(), policies.TestConfig{Run: "("}); err == nil {
		t.Error("Test took a regular expression that is none")
	}
}

func TestTestFindsIdleTests(t *testing.T) {
	for _, c := range []struct {
		name  string
		files files
		run   string
		want  []string
	}{
		{"none at all", one(guarded), "", []string{"tests_missing"}},
		{"switched off", withTests("test_a if true\n\ntodo_test_b if false\n\nskip_test_c if false\n"), "", []string{"test_skipped", "test_skipped"}},
		{"a file of helpers", withTests("helper := 1\n"), "", []string{"tests_missing", "tests_missing"}},
		{"no name fits", withTests("test_a if true\n"), "test_z", []string{"tests_missing"}},
		{"all is well", withTests("test_a if true\n"), "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := runTests(t, c.files, func(cfg *policies.TestConfig) { cfg.Run = c.run })
			var got []string
			for _, f := range report.Findings {
				got = append(got, f.Code)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("findings %v, want %v", report.Findings, c.want)
			}
		})
	}
}

func TestTestChooses(t *testing.T) {
	report := runTests(t, withTests("test_a if true\n\ntest_ab if true\n\ntest_b if false\n"), func(cfg *policies.TestConfig) { cfg.Run = `\.test_a` })
	if len(report.Tests) != 2 || len(report.Failed()) != 0 {
		t.Errorf("tests %+v, want test_a and test_ab", report.Tests)
	}
	if report.Coverage.Files != nil {
		t.Errorf("coverage of chosen tests = %+v, want none", report.Coverage)
	}
}

func TestTestCoverage(t *testing.T) {
	f := withTests("test_a if count(data.admission.policies.p.deny_user) == 1 with input as {\"user\": {\"groups\": []}}\n")
	f["lib/guestlist/x.rego"] = "package guestlist.x\n\nyes(a) if a == 1\n"
	got := runTests(t, f).Coverage
	if len(got.Files) != 1 || got.Files[0].File != "p.rego" || !slices.Equal(got.Files[0].Missing, []string{"11-12"}) || got.Percent != 50 {
		t.Errorf("coverage = %+v, want 50 %% and lines 11-12 missing; constants are not counted", got)
	}
	withLibrary := runTests(t, f, func(cfg *policies.TestConfig) { cfg.Library = true }).Coverage
	if len(withLibrary.Files) != 2 || withLibrary.Percent >= got.Percent {
		t.Errorf("coverage with the library = %+v, want two files and less", withLibrary)
	}
	f["p_test.rego"] += "\ntest_b if {\n\tcount(data.admission.policies.p.deny) == 1 with input as {\"client\": {\"labels\": [1, 2, 3, 4]}}\n}\n"
	if got := runTests(t, f).Coverage; got.Percent != 100 || len(got.Files[0].Missing) != 0 {
		t.Errorf("coverage = %+v, want all", got)
	}
}

// Guardrails with a root of their own bring their tests.
func TestTestRunsTheGuardrailsRoot(t *testing.T) {
	rails := files{
		"g.rego":      "package admission.guardrails\n\ndeny contains {\"code\": \"x\", \"message\": \"no\"} if input.client.host == \"x.example\"\n",
		"g_test.rego": "package admission.guardrails_test\n\nimport data.admission.guardrails\n\ntest_x if count(guardrails.deny) == 1 with input.client.host as \"x.example\"\n",
	}
	report := runTests(t, withTests("test_a if true\n"), func(cfg *policies.TestConfig) { cfg.Guardrails = rails.fs() })
	if len(report.Tests) != 2 || report.Tests[0].File != "guardrails:g_test.rego" || len(report.Failed()) != 0 {
		t.Errorf("tests %+v, want one of each root", report.Tests)
	}
}

func TestTestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := policies.Test(ctx, policies.TestConfig{Config: policies.Config{FS: withTests("test_a if true\n").fs()}}); err == nil {
		t.Error("Test took no notice of its context")
	}
}

// The tests beside the starters pass with strict built-in errors (trap F5).
func TestStartersPassTheirTests(t *testing.T) {
	for _, name := range policies.StarterNames() {
		report, err := policies.Test(t.Context(), policies.TestConfig{Config: policies.Config{FS: starter(t, name)}})
		if err != nil || len(report.Tests) == 0 || len(report.Failed()) != 0 || len(report.Findings) != 0 {
			t.Errorf("Test(%s) = %+v, %v, want every test passed", name, report, err)
		}
		for _, r := range report.Tests {
			if !regexp.MustCompile(`^data\.admission\..*_test\.test_`).MatchString(r.Name) {
				t.Errorf("test %s of starter %s: want a package of its own", r.Name, name)
			}
		}
	}
}
