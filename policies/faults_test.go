package policies_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/policies"
)

// A policy that cannot be evaluated refuses what it matches, with its name,
// file and line, and nothing else (design §4 composition 6 and 7).
func TestBrokenPolicyAffectsOnlyItsClients(t *testing.T) {
	for name, c := range map[string]struct{ rules, at, detail string }{
		"division by zero":              {"settings := {}\n\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if {\n\t1 / count(input.request.prompt) == 2\n}", "q.rego:8", "divide by zero"},
		"trap F5 built-in error in not": {"settings := {}\n\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if not _late\n\n_late if time.parse_rfc3339_ns(input.user_agent_is_no_time) > 0", "", ""},
		"built-in error in not":         {"settings := {}\n\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if not _late\n\n_late if time.parse_rfc3339_ns(input.request.source.ip) > 0", "q.rego:9", "parse"},
		"applies conflict":              {"settings := {}\n\napplies := input.request.pkce\n\napplies := input.request.par", "q.rego:9", "conflict"},
		"applies no boolean":            {"settings := {}\n\napplies := input.client.host", "q.rego:7", "neither true nor false"},
		"settings unknown member":       {"settings := object.union({}, {_name: 1})\n\n_name := input.client.labels[0]", "q.rego:5", "unknown member app"},
		"settings wrong type":           {"settings := {\"client_ttl\": input.client.host}", "q.rego:5", "client_ttl"},
		"settings undefined":            {"settings := {} if input.client.port == \"1\"", "q.rego:5", "undefined for this request"},
		"settings conflict":             {"settings := {\"tags\": input.client.labels}\n\nsettings := {\"tags\": input.client.segments}", "q.rego:7", "conflict"},
		"settings network computed":     {"settings := {\"network\": {\"allow_cidrs\": [_cidr]}}\n\n_cidr := \"10.0.0.0/8\" if input.client.port == \"\"", "", ""},
		"denial malformed":              {"settings := {}\n\ndeny contains x if x := {\"code\": input.client.host}", "q.rego:7", "message is required"},
		"denial no object":              {"settings := {}\n\ndeny contains x if some x in input.client.labels", "q.rego:7", "want an object"},
		"denial text too long":          {"settings := {}\n\ndeny contains {\"code\": \"x\", \"message\": m} if m := concat(\"\", [x | some _ in numbers.range(1, 200); x := input.client.host])", "q.rego:7", "longer than"},
		"too many denials":              {"settings := {}\n\ndeny contains {\"code\": sprintf(\"c%d\", [i]), \"message\": input.client.host} if some i in numbers.range(1, 65)", "q.rego:7", "at most 64"},
		"huge settings":                 {"settings := {\"tags\": [x | some i in numbers.range(1, 5000); x := sprintf(\"%s%d\", [input.client.host, i])]}", "q.rego:5", "too large"},
		"huge text":                     {"settings := {\"tags\": [x | some _ in numbers.range(1, 3); x := concat(\"\", [y | some _ in numbers.range(1, 8000); y := input.client.host])]}", "q.rego:5", "too large"},
		"key is no string":              {"settings := {input.request.pkce: 1}", "q.rego:5", "is no string"},
	} {
		t.Run(name, func(t *testing.T) {
			q := strings.ReplaceAll("package admission.policies.q\n\nclient_ids := {\"https://app.example.com/oauth/client.json\"}\n\n"+c.rules+"\n", "\r", "")
			f := files{"q.rego": q, "ok.rego": "package admission.policies.ok\n\nclient_ids := {\"https://ok.example/x\"}\n\nsettings := {}\n"}
			if c.at == "" { // seen at load, or fine because the URL is exact
				_, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs()})
				if strings.HasPrefix(name, "trap F5") == (err == nil) {
					t.Errorf("Load = %v, %v", findings, err)
				}
				return
			}
			set := load(t, f)
			for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument} {
				d := decide(t, set, example, phase)
				refused(t, d, broker.ReasonPolicyError)
				if !strings.HasPrefix(d.Detail, "policy q: "+c.at+": ") || !strings.Contains(d.Detail, c.detail) {
					t.Errorf("phase %s: detail = %q, want policy q, %s and %q", phase, d.Detail, c.at, c.detail)
				}
				allowed(t, decide(t, set, "https://ok.example/x", phase))
			}
		})
	}
}

// A broken loser vetoes too: nobody knows what it would have denied.
func TestBrokenLoserRefuses(t *testing.T) {
	set := load(t, files{"p.rego": policy("p", "priority := 9\n\nsettings := {}"),
		"q.rego": policy("q", "deny contains {\"code\": \"x\", \"message\": \"m\"} if 1 / count(input.request.prompt) == 2")})
	d := decide(t, set, example, broker.PhaseURL)
	refused(t, d, broker.ReasonPolicyError)
	if !strings.Contains(d.Detail, "policy q: q.rego:5") || len(d.Winner) != 1 {
		t.Errorf("detail = %q, winner %v", d.Detail, d.Winner)
	}
}

// What never ends is cut at its share of the deadline; the other policies and
// the other clients are served.
func TestEndlessPolicyIsCut(t *testing.T) {
	for name, rules := range map[string]string{
		"comprehension":      "deny contains {\"code\": \"x\", \"message\": \"m\"} if count([1 | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); some c in numbers.range(1, 9000); a + b == c + count(input.client.labels)]) == 1",
		"huge range":         "deny contains {\"code\": \"x\", \"message\": \"m\"} if count(numbers.range(1, 9000000000)) == count(input.client.labels)",
		"in settings":        "settings := {\"client_ttl\": sprintf(\"%ds\", [count(numbers.range(count(input.client.labels), 9000000000))])}",
		"in applies":         "applies if count(numbers.range(1, 9000000000)) == count(input.client.labels)",
		"walk within walk":   "deny_document contains {\"code\": \"x\", \"message\": \"m\"} if count([1 | walk(input.published, [_, a]); walk(input.published, [_, b]); walk(input.published, [_, c]); a == [b, c]]) == 1",
		"in the guardrails":  "",
		"string of a string": "deny contains {\"code\": \"x\", \"message\": \"m\"} if regex.match(\"z\", concat(\",\", [sprintf(\"%d%d\", [a, b]) | some a in numbers.range(1, 90000); some b in numbers.range(1, 90000)]))",
	} {
		t.Run(name, func(t *testing.T) {
			f := files{"p.rego": policy("p", "settings := {}"), "q.rego": policy("q", rules),
				"ok.rego": "package admission.policies.ok\n\nclient_ids := {\"https://ok.example/x\"}\n\nsettings := {}\n"}
			if rules == "" {
				f["g.rego"] = "package admission.guardrails\n\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if { input.client.host == \"app.example.com\"; count(numbers.range(1, 9000000000)) == 1 }\n"
			}
			const deadline = 150 * time.Millisecond
			set := loadConfig(t, policies.Config{FS: f.fs(), Deadline: deadline})
			big := map[string]any{}
			for i := range 500 {
				big[fmt.Sprint(i)] = i
			}
			start := time.Now()
			d := decide(t, set, example, broker.PhaseDocument, func(q *broker.Query) { q.Input.Published = big })
			took := time.Since(start)
			refused(t, d, broker.ReasonPolicyError)
			if !strings.Contains(d.Detail, "deadline") || !strings.Contains(d.Detail, ".rego:") {
				t.Errorf("detail = %q, want the deadline, file and line", d.Detail)
			}
			if took > 20*deadline+30*time.Second || d.Took <= 0 { // 20 are the most on the wall of a busy machine
				t.Errorf("took %s (reported %s), want it cut at %s", took, d.Took, deadline)
			}
			allowed(t, decide(t, set, "https://ok.example/x", broker.PhaseDocument))
		})
	}
}

func TestEndlessConstantIsCutAtLoad(t *testing.T) {
	f := one("client_ids := {x | some i in numbers.range(1, 9000000000); x := sprintf(\"https://a%d.example/x\", [i])}\n")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, findings, err := policies.Load(ctx, policies.Config{FS: f.fs()})
	if err == nil || len(findings) != 1 || findings[0].Code != "client_ids_invalid" {
		t.Errorf("Load = %v, %v, want client_ids_invalid", findings, err)
	}
}

// paths lists every member of the input below t, with the phase that has it
// first. Members that are open by contract end the walk.
func paths(t *testing.T, typ reflect.Type, prefix string) []string {
	t.Helper()
	if typ == reflect.TypeFor[time.Time]() || typ.Kind() != reflect.Struct {
		return []string{prefix}
	}
	out := []string{prefix}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" || options != "" {
			t.Errorf("%s.%s has the tag %q: input is total, so every member has a plain name", prefix, f.Name, f.Tag)
		}
		at := name
		if prefix != "" {
			at = prefix + "." + name
		}
		out = append(out, paths(t, f.Type, at)...)
	}
	return out
}

// Every member of the schema is present in its phase even when the broker
// leaves everything nil, and none of a later phase is (trap F6).
func TestInputIsTotal(t *testing.T) {
	all := paths(t, reflect.TypeFor[broker.Input](), "")[1:]
	all = slices.DeleteFunc(all, func(p string) bool { return p == "facts" }) // read one by one, see TestFactsAreTotal
	if len(all) < 70 {
		t.Fatalf("the walk found %d members", len(all))
	}
	order := []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh}
	f := files{}
	for i, p := range all {
		rule := "deny_refresh"
		f[fmt.Sprintf("p%d.rego", i)] = fmt.Sprintf("package admission.policies.p%d\n\nclient_ids := {\"https://c%d.example/x\"}\n\nsettings := {}\n\n"+
			"%s contains {\"code\": \"seen\", \"message\": type_name(input.%s)}\n\n%s\n", i, i, rule, p, warnUnlessNow(p))
	}
	set := load(t, f)
	for i, p := range all {
		top, _, _ := strings.Cut(p, ".")
		for n, phase := range order {
			q := question(t, fmt.Sprintf("https://c%d.example/x", i), phase)
			q.Input = broker.Input{Phase: phase, ClientID: q.Input.ClientID, Registration: q.Input.Registration}
			d := set.Decide(context.Background(), q)
			has := true
			for _, later := range broker.MembersBefore(phase) {
				has = has && later != top
			}
			got := len(d.Warnings) + len(d.Denials)
			if top == "now" { // readable in deny_refresh only
				has = has && n == 3
			}
			if (got > 0) != has {
				t.Errorf("phase %s, input.%s: seen %v, want %v (%s %s)", phase, p, got > 0, has, d.Reason, d.Detail)
			}
			for _, w := range d.Warnings {
				if want := emptyType(p); w.Message != want {
					t.Errorf("phase %s, input.%s is %s, want %s", phase, p, w.Message, want)
				}
			}
		}
	}
}

// warnUnlessNow writes a warning that shows the type of a member.
func warnUnlessNow(path string) string {
	if path == "now" || strings.HasPrefix(path, "now.") {
		return ""
	}
	return "warn contains {\"code\": \"seen\", \"message\": type_name(input." + path + ")}"
}

// emptyType is the type that a member has when the broker knows nothing.
func emptyType(path string) string {
	typ := reflect.TypeFor[broker.Input]()
	for name := range strings.SplitSeq(path, ".") {
		for i := range typ.NumField() {
			if tag := typ.Field(i).Tag.Get("json"); tag == name {
				typ = typ.Field(i).Type
				break
			}
		}
	}
	switch {
	case path == "row":
		return "null"
	case typ == reflect.TypeFor[time.Time](), typ.Kind() == reflect.String:
		return "string"
	case typ.Kind() == reflect.Slice:
		return "array"
	case typ.Kind() == reflect.Bool:
		return "boolean"
	case typ.Kind() == reflect.Int, typ.Kind() == reflect.Int64:
		return "number"
	}
	return "object"
}

// A denial that says "not" about an empty member fires (trap F6).
func TestNotOfEmptyGroupsDenies(t *testing.T) {
	set := load(t, one(admits+"\ndeny_user contains {\"code\": \"x\", \"message\": \"m\"} if not \"eng\" in input.user.groups\n"))
	for name, g := range map[string][]string{"nil": nil, "empty": {}, "others": {"ops"}} {
		if d := decide(t, set, example, broker.PhaseUser, groups(g...)); d.Reason != broker.ReasonPolicyDenied {
			t.Errorf("groups %s: reason %q, want policy_denied", name, d.Reason)
		}
	}
	allowed(t, decide(t, set, example, broker.PhaseUser, groups("eng")))
}

// One Set serves many goroutines.
func TestDecideConcurrently(t *testing.T) {
	set := load(t, one(admits+"\ndeny_user contains {\"code\": \"x\", \"message\": \"m\"} if not \"eng\" in input.user.groups\n"))
	errs := make(chan string, 8)
	for i := range 8 {
		q := question(t, example, broker.PhaseUser)
		if i%2 == 0 {
			q.Input.User.Groups = []string{"eng"}
		}
		go func() {
			for range 50 {
				if d := set.Decide(context.Background(), q); d.Allowed != (i%2 == 0) {
					errs <- fmt.Sprintf("goroutine %d: allowed %v, %s", i, d.Allowed, d.Detail)
					return
				}
			}
			errs <- ""
		}()
	}
	for range 8 {
		if s := <-errs; s != "" {
			t.Error(s)
		}
	}
}
