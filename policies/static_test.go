package policies_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/policies"
)

// shared is what every fixture is loaded with: a list and a library.
func shared(t *testing.T) files {
	t.Helper()
	f := files{}
	for _, name := range []string{"lists/data.json", "lib/hosts.rego", policies.FactsFile} {
		body, err := os.ReadFile(filepath.Join("..", "testdata", "policies", "shared", name))
		if err != nil {
			t.Fatal(err)
		}
		f[name] = string(body)
	}
	return f
}

// titled leaves out that a policy has no title and no owner: most policies in
// these tests have neither.
func titled(found []policies.Finding) []policies.Finding {
	return slices.DeleteFunc(found, func(f policies.Finding) bool { return f.Code == "metadata_missing" })
}

func fixtures(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", "testdata", "policies", dir, "*.rego"))
	if least := map[string]int{"broken": 120, "good": 150, "warned": 25, "hostile": 45}[dir]; err != nil || len(names) < least {
		t.Fatalf("fixtures in %s: %d, %v", dir, len(names), err)
	}
	return names
}

// Every static check refuses its fixture at the line that the fixture names
// (PF-05, G-18, traps F4, F6 and F7 among them).
func TestBrokenPoliciesAreRefused(t *testing.T) {
	for _, name := range fixtures(t, "broken") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".rego"), func(t *testing.T) {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(body), "\n")
			code, at, ok := strings.Cut(strings.TrimPrefix(first, "# want: "), ":")
			if !ok {
				t.Fatalf("first line %q, want # want: CODE:LINE", first)
			}
			if !strings.Contains(at, ":") {
				at = "p.rego:" + at
			}
			f := shared(t)
			f["p.rego"] = string(body)
			set, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
			if err == nil || set != nil {
				t.Fatalf("Load = %v, %v, want an error", set, err)
			}
			got := ""
			for _, x := range findings {
				if s := fmt.Sprintf("%s at %s:%d\n", x.Code, x.File, x.Line); x.Severity == policies.SeverityError && s != got {
					got += s
				}
			}
			if want := fmt.Sprintf("%s at %s\n", code, at); got != want {
				t.Errorf("findings = %swant %s%v", got, want, findings)
			}
		})
	}
}

// The counterpart of each refusal is accepted without a finding, so that no
// check refuses more than it means to. That a member is not in force is said
// of good policies too.
func TestGoodPoliciesAreAccepted(t *testing.T) {
	for _, name := range fixtures(t, "good") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".rego"), func(t *testing.T) {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f := shared(t)
			f["p.rego"] = string(body)
			_, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs(), Now: func() time.Time { return noon }})
			findings = slices.DeleteFunc(findings, func(f policies.Finding) bool { return f.Code == "not_in_force" })
			if err != nil || len(findings) > 0 {
				t.Errorf("Load = %v, findings %v, want neither", err, findings)
			}
		})
	}
}

// What is accepted with a warning has exactly that one, at the line that the
// fixture names; what stands in its place without one is among the good.
func TestWarnedPolicies(t *testing.T) {
	for _, name := range fixtures(t, "warned") {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".rego"), func(t *testing.T) {
			body, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(body), "\n")
			code, line, _ := strings.Cut(strings.TrimPrefix(first, "# want: "), ":")
			f := shared(t)
			f["p.rego"] = string(body)
			set, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs(), Now: func() time.Time { return noon }})
			if err != nil || set == nil {
				t.Fatalf("Load = %v, want no error", err)
			}
			if len(findings) != 1 || findings[0].Code != code || findings[0].Severity != policies.SeverityWarning ||
				fmt.Sprintf("%s:%d", findings[0].File, findings[0].Line) != "p.rego:"+line || findings[0].Remedy == "" {
				t.Errorf("findings = %v, want one warning %s at p.rego:%s with a remedy", findings, code, line)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), "..", "good", filepath.Base(name))); err != nil {
				t.Errorf("no accepted example: %v", err)
			}
		})
	}
}

// Refusals that need more than one file, each beside what is accepted.
func TestRootsAreChecked(t *testing.T) {
	const policy = "package admission.policies.p\n\n" + admits
	const other = "package admission.policies.q\n\nclient_ids := {\"https://q.example/x\"}\n"
	guard := "package admission.guardrails\n\nceiling := {\"client_ttl\": \"1d\"}\n"
	cases := []struct {
		name   string
		files  files
		guards files
		want   string // code at file:line; empty: accepted
	}{
		{"two policies", files{"a.rego": policy, "b.rego": other}, nil, ""},
		{"trap F7 second file for one policy", files{"a.rego": policy, "b.rego": "package admission.policies.p\n\nmode := \"off\"\n"}, nil, "package_twice at b.rego:1"},
		{"trap F7 second file for the guardrails", files{"a.rego": guard, "b.rego": guard}, nil, "package_twice at b.rego:1"},
		{"reference to another policy", files{"a.rego": policy, "b.rego": other + "\npriority := data.admission.policies.p.priority\n"}, nil, "policy_reference at b.rego:5"},
		{"reference to another policy's rule", files{"a.rego": policy, "b.rego": other + "\nsettings := data.admission.policies.p.settings\n"}, nil, "policy_reference at b.rego:5"},
		{"library shared by two", files{"a.rego": policy, "lib.rego": "package lib\n\nx := {\"client_ttl\": \"1d\"}\n", "b.rego": other + "\nsettings := data.lib.x\n"}, nil, ""},
		{"library rule reaches into another package", files{"a.rego": "package lib\n\nhosts.x := 1\n", "b.rego": "package lib.hosts\n\ny := 1\n"}, nil, "head_leaves_package at a.rego:3"},
		{"library rule of several parts", files{"a.rego": "package lib\n\nhosts.x := 1\n", "b.rego": "package lib2.hosts\n\ny := 1\n"}, nil, ""},
		{"library rule of several parts, read as a whole", files{"a.rego": "package lib\n\nhosts.x := input.client.host\n", "b.rego": other + "\nsettings := {\"tags\": [data.lib.hosts.x]}\n\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if count(data.lib.hosts) == 2\n"}, nil, ""},
		{"data below admission", files{"a.rego": policy, "admission/policies/p/data.json": `{"x": 1}`}, nil, "data_below_admission at data.json:0"},
		{"data below admission in the root file", files{"data.json": `{"admission": {}}`}, nil, "data_below_admission at data.json:0"},
		{"data beside a rule", files{"lib.rego": "package lib\n\nx := 1\n", "lib/data.json": `{"x": 2}`}, nil, "rego_compile_error at lib.rego:3"},
		{"data with a key written twice", files{"l/data.json": "{\"a\": 1,\n\"a\": 2}"}, nil, "data_invalid at l/data.json:2"},
		{"yaml data with a key written twice", files{"l/data.yaml": "a: 1\na: 2\n"}, nil, "data_invalid at l/data.yaml:0"},
		{"yaml data", files{"l/data.yaml": "a: 1\nb: [x]\n"}, nil, ""},
		{"data of two files meets", files{"data.json": `{"l": {"a": 1}}`, "l/data.json": `{"b": 2}`}, nil, ""},
		{"data of two files conflicts", files{"data.json": `{"l": {"a": 1}}`, "l/data.json": `{"a": 2}`}, nil, "data_conflict at l/data.json:0"},
		{"a policy outside the packages of policies", files{"a.rego": "package a\n\nclient_ids := {\"https://a.example.com/c\"}\n"}, nil, "warning package_unknown"},
		{"data that ends too early", files{"l/data.json": "{\n"}, nil, "data_invalid at l/data.json:1"},
		{"data that is no object", files{"l/data.json": `[1]`}, nil, "data_invalid at l/data.json:1"},
		{"data with a tail", files{"l/data.json": `{} {}`}, nil, "data_invalid at l/data.json:1"},
		{"imagined requests and their documents", files{"scenes.json": `{}`, "documents/a.json": `{}`}, nil, ""},
		{"json that is not data", files{"l/list.json": `{}`}, nil, "warning data_ignored"},
		{"guardrails in their own root", files{"a.rego": policy}, files{"g.rego": guard}, ""},
		{"guardrails in both roots", files{"a.rego": policy, "g.rego": guard}, files{"g.rego": guard}, "guardrails_twice at g.rego:1"},
		{"policy in the guardrails root", files{}, files{"a.rego": policy}, "package_not_guardrails at guardrails:a.rego:1"},
		{"guardrails cannot read policy data", files{"l/data.json": `{"x": 1}`}, files{"g.rego": "package admission.guardrails\n\nceiling := data.l.x\n"}, "data_unresolved at guardrails:g.rego:3"},
		{"test of a policy", files{"a.rego": policy, "a_test.rego": "package admission.policies.p_test\n\ntest_x if data.admission.policies.p.settings with input as {}\n"}, nil, ""},
		{"test that does not compile", files{"a.rego": policy, "a_test.rego": "package x_test\n\ntest_x if nope(1)\n"}, nil, "function_undefined at a_test.rego:3"},
		{"test is no policy", files{"a_test.rego": policy}, nil, ""},
		{"hidden files", files{".git/a.rego": "nonsense", ".a.rego": "nonsense"}, nil, ""},
		{"empty file", files{"a.rego": ""}, nil, "rego_parse_error at a.rego:0"},
		{"equal rank", files{"a.rego": policy, "b.rego": "package admission.policies.q\n\n" + admits}, nil, "warning equal_rank"},
		{"equal rank by overlap", files{"a.rego": "package admission.policies.a\n\nclient_ids := {\"https://a.example/*/x\"}\n\nsettings := {}\n", "b.rego": "package admission.policies.b\n\nclient_ids := {\"https://a.example/y/*\"}\n\nsettings := {}\n"}, nil, "warning equal_rank"},
		{"equal pattern, other priority", files{"a.rego": policy, "b.rego": "package admission.policies.q\n\npriority := 1\n\n" + admits}, nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := policies.Config{FS: c.files.fs()}
			if c.guards != nil {
				cfg.Guardrails = c.guards.fs()
			}
			set, findings, err := policies.Load(context.Background(), cfg)
			var got []string
			for _, f := range titled(findings) {
				if f.Severity == policies.SeverityError {
					got = append(got, fmt.Sprintf("%s at %s:%d", f.Code, f.File, f.Line))
				} else {
					got = append(got, "warning "+f.Code)
				}
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("findings = %q, want %q: %v", s, c.want, findings)
			}
			if isErr := c.want != "" && !strings.HasPrefix(c.want, "warning"); isErr != (err != nil) || isErr != (set == nil) {
				t.Errorf("Load = %v, %v, want an error %v", set, err, isErr)
			}
		})
	}
}

func TestListsAreReadStrictly(t *testing.T) {
	const p = "package admission.policies.p\n\nclient_ids_from := data.l.partners\n\nsettings := {}\n"
	cases := []struct{ name, row, want string }{
		{"good", `{"path": "/x", "owner": "o", "ticket": "t", "expires": "2027-01-01", "settings": {"client_ttl": "1d"}}`, ""},
		{"moment", `{"path": "/x", "expires": "2027-01-01T10:00:00+02:00"}`, ""},
		{"wildcards", `{"path": "/x/*/y/**"}`, ""},
		{"no path", `{"owner": "o"}`, "path is required"},
		{"relative path", `{"path": "x"}`, "path is required"},
		{"misspelt", `{"path": "/x", "expire": "2027-01-01"}`, "did you mean expires"},
		{"bad date", `{"path": "/x", "expires": "tomorrow"}`, "expires"},
		{"bad type", `{"path": 1}`, "path: want a string"},
		{"bad settings", `{"path": "/x", "settings": {"ttl": 1}}`, "unknown member ttl"},
		{"claims", `{"path": "/x", "settings": {"claims": {"t": 1}}}`, "a row only narrows"},
		{"network on a wildcard G-18", `{"path": "/*", "settings": {"network": {"allow_cidrs": []}}}`, "exact URLs"},
		{"network of an exact URL G-18", `{"path": "/x", "settings": {"network": {"allow_cidrs": ["10.1.0.0/16", "fd12::/32"], "egress_proxy": "http://proxy.example:3128"}}}`, ""},
		{"loopback G-18", `{"path": "/x", "settings": {"network": {"allow_cidrs": ["127.0.0.0/8"]}}}`, "inside 10.0.0.0/8"},
		{"metadata G-18", `{"path": "/x", "settings": {"network": {"allow_cidrs": ["169.254.169.254/32"]}}}`, "inside 10.0.0.0/8"},
		{"everything G-18", `{"path": "/x", "settings": {"network": {"allow_cidrs": ["0.0.0.0/0"]}}}`, "inside 10.0.0.0/8"},
		{"host bits G-18", `{"path": "/x", "settings": {"network": {"allow_cidrs": ["10.1.0.1/16"]}}}`, "without host bits"},
		{"proxy with a password CU-11", `{"path": "/x", "settings": {"network": {"egress_proxy": "http://u:p@proxy.example"}}}`, "has no place in the URL"},
		{"wildcard in segment", `{"path": "/x*"}`, "whole segment"},
		{"query", `{"path": "/x?y"}`, "no query"},
		{"not an object", `"x"`, "a row is an object"},
		{"twice", `{"path": "/x"}, {"path": "/x"}`, "listed twice"},
		{"equal rank", `{"path": "/*/y"}, {"path": "/x/*", "settings": {"client_ttl": "1d"}}`, "path /x/* matches what /*/y matches, at equal rank"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := files{"p.rego": p, "l/data.json": "{\"partners\": {\n\"a.example\": [" + c.row + "]}}"}
			_, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
			if c.want == "" {
				if err != nil {
					t.Errorf("Load = %v, want no error", err)
				}
				return
			}
			if len(findings) != 1 || !strings.Contains(findings[0].Message+findings[0].Remedy, c.want) || findings[0].File != "l/data.json" || findings[0].Line != 2 {
				t.Errorf("findings = %v, want one at l/data.json:2 with %q", findings, c.want)
			}
		})
	}
	for host, ok := range map[string]bool{"*.a.example": true, "*.com": false, "*": false, "A.example": false, "a.example/x": false, "u@a.example": false, "a.example:8443": true} {
		f := files{"p.rego": p, "l/data.json": `{"partners": {"` + host + `": [{"path": "/x"}]}}`}
		if _, _, err := policies.Load(context.Background(), policies.Config{FS: f.fs()}); (err == nil) != ok {
			t.Errorf("Load with host %q = %v, want accepted %v", host, err, ok)
		}
	}
}

func TestMaximaAreReadStrictly(t *testing.T) {
	for name, c := range map[string]struct {
		maxima map[string]any
		ok     bool
	}{
		"good":     {map[string]any{"access_token": map[string]any{"ttl": "10m"}, "document": map[string]any{"max_bytes": 1024}}, true},
		"misspelt": {map[string]any{"access_tokens": map[string]any{"ttl": "10m"}}, false},
		"type":     {map[string]any{"client_ttl": 3}, false},
		"no meet":  {map[string]any{"tags": []any{"x"}}, false},
	} {
		_, findings, err := policies.Load(context.Background(), policies.Config{Maxima: c.maxima})
		if (err == nil) != c.ok || !c.ok && findings[0].Code != "maxima_invalid" {
			t.Errorf("%s: Load = %v, %v, want accepted %v", name, findings, err, c.ok)
		}
	}
	if _, _, err := policies.Load(context.Background(), policies.Config{Deadline: -1}); err == nil {
		t.Errorf("Load with a negative deadline = nil, want an error")
	}
}

func TestPoliciesListsMetadata(t *testing.T) { // PF-08
	set := load(t, files{"sub/p.rego": "# METADATA\n# title: Example\n# description: Two clients.\n# authors: [Identity team <iam@corp.example>]\n# custom: {review_by: \"2027-03-31\"}\npackage admission.policies.p\n\nclient_ids := {\"https://b.example/x\", \"https://a.example/x\"}\n\npriority := 7\n\nmode := \"warn\"\n\nsettings := {\"tags\": [\"b\", \"a\"]}\n"})
	got := set.Policies()
	if len(got) != 1 {
		t.Fatalf("Policies = %+v, want one", got)
	}
	p := got[0]
	if p.Name != "p" || p.Title != "Example" || !slices.Equal(p.Authors, []string{"Identity team <iam@corp.example>"}) || p.ReviewBy != "2027-03-31" ||
		p.Mode != "warn" || p.Priority != 7 || !slices.Equal(p.Patterns, []string{"https://a.example/x", "https://b.example/x"}) || p.File != "sub/p.rego" || p.Line != 6 || p.VetoOnly || p.Description != "Two clients." || !slices.Equal(p.Tags, []string{"b", "a"}) || p.Rows != 0 {
		t.Errorf("Policies = %+v", p)
	}
}

// A review is overdue when its day is over.
func TestOverdue(t *testing.T) {
	now := time.Date(2027, 3, 31, 23, 59, 59, 0, time.UTC)
	for day, want := range map[string]bool{"": false, "2027-03-30": true, "2027-03-31": false, "2027-04-01": false} {
		if got := (policies.Info{ReviewBy: day}).Overdue(now); got != want {
			t.Errorf("Info{ReviewBy: %q}.Overdue(%v) = %v, want %v", day, now, got, want)
		}
	}
	if !(policies.Info{ReviewBy: "2027-03-31"}).Overdue(now.Add(time.Second)) {
		t.Error("a review is not overdue on the day after")
	}
}
