package policies_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"guestlist/broker"
	"guestlist/policies"
)

// vetoed is a root whose policy q denies the example client twice, and where
// the guardrails have these rules.
func vetoed(guard string) files {
	return files{"p.rego": policy("p", `settings := {}`),
		"q.rego": policy("q", "deny contains {\"code\": \"young\", \"message\": \"a young host\"} if input.client.port == \"\"\n\ndeny_user contains {\"code\": \"hour\", \"message\": \"not now\", \"effect\": \"end_grant\"} if input.clock.hour == 12"),
		"g.rego": "package admission.guardrails\n\n" + guard + "\n"}
}

const young = `{"client_id": "` + example + `", "policy": "q", "code": "young", "owner": "IAM <iam@corp.example>", "expires": "2026-12-01", "ticket": "SEC-1"}`

// A waiver takes one code of one policy away from one URL until its day, and
// what it took away stays in the record with its owner (design §4).
func TestWaivers(t *testing.T) {
	for name, c := range map[string]struct {
		guard        string
		url          string
		now          time.Time
		want         broker.Reason
		phaseUser    broker.Reason
		waivedInUser string
	}{
		"none":            {`ceiling := {}`, example, noon, broker.ReasonPolicyDenied, broker.ReasonPolicyDenied, ""},
		"one of two":      {"waivers := [" + young + "]", example, noon, "", broker.ReasonPolicyDenied, "young"},
		"both":            {"waivers := {" + young + ", " + strings.Replace(young, "young", "hour", 1) + "}", example, noon, "", "", "young hour"},
		"another policy":  {"waivers := [" + strings.Replace(young, `"q"`, `"p"`, 1) + "]", example, noon, broker.ReasonPolicyDenied, broker.ReasonPolicyDenied, ""},
		"another code":    {"waivers := [" + strings.Replace(young, `"young"`, `"old"`, 1) + "]", example, noon, broker.ReasonPolicyDenied, broker.ReasonPolicyDenied, ""},
		"another URL":     {"waivers := [" + strings.Replace(young, "client.json", "Client.json", 1) + "]", example, noon, broker.ReasonPolicyDenied, broker.ReasonPolicyDenied, ""},
		"same with query": {"waivers := [" + young + "]", example + "?", noon, broker.ReasonPolicyDenied, broker.ReasonPolicyDenied, ""},
		"last moment":     {"waivers := [" + young + "]", example, time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC), "", broker.ReasonPolicyDenied, "young"},
		"over":            {"waivers := [" + young + "]", example, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), broker.ReasonPolicyDenied, broker.ReasonPolicyDenied, ""},
		"of a guardrail":  {"waivers := [" + young + "]\n\ndeny contains {\"code\": \"young\", \"message\": \"guarded\"} if input.client.port == \"\"", example, noon, broker.ReasonPolicyDenied, broker.ReasonPolicyDenied, "young"},
		"from data":       {"waivers := data.waivers.rows", example, noon, "", broker.ReasonPolicyDenied, "young"},
	} {
		t.Run(name, func(t *testing.T) {
			f := vetoed(c.guard)
			f["waivers/data.json"] = `{"rows": [` + young + `]}`
			set := load(t, f)
			at := func(q *broker.Query) { q.Input.Time = c.now }
			if d := decide(t, set, c.url, broker.PhaseURL, at); d.Reason != c.want {
				t.Errorf("phase url: reason %q (%s), want %q", d.Reason, d.Detail, c.want)
			}
			d := decide(t, set, c.url, broker.PhaseUser, at)
			if d.Reason != c.phaseUser {
				t.Errorf("phase user: reason %q (%s), want %q", d.Reason, d.Detail, c.phaseUser)
			}
			var past []string
			for _, w := range d.Warnings {
				past = append(past, w.Code)
				if w.WaivedBy != "IAM <iam@corp.example>" || w.WaivedUntil != "2026-12-01" || w.WaiverTicket != "SEC-1" || w.Policy != "q" || !strings.HasPrefix(w.Location, "q.rego:") {
					t.Errorf("waived denial = %+v, want its owner, day, ticket and place", w)
				}
			}
			if got := strings.Join(past, " "); got != c.waivedInUser {
				t.Errorf("waived %q, want %q", got, c.waivedInUser)
			}
			if d.EndGrant != strings.Contains(denied(d), "hour") {
				t.Errorf("EndGrant = %v with denials %s", d.EndGrant, denied(d))
			}
		})
	}
}

// denied lists the codes of the denials that count.
func denied(d broker.Decision) string {
	var codes []string
	for _, n := range d.Denials {
		codes = append(codes, n.Code)
	}
	return strings.Join(codes, " ")
}

// A waiver does not hide that a policy cannot be evaluated.
func TestWaiverCoversNoError(t *testing.T) {
	f := vetoed("waivers := [" + young + "]")
	f["q.rego"] = policy("q", "deny contains {\"code\": \"young\", \"message\": \"m\"} if 1 / count(input.request.prompt) == 2")
	refused(t, decide(t, load(t, f), example, broker.PhaseURL), broker.ReasonPolicyError)
}

func TestWaiversAreReadStrictly(t *testing.T) {
	for name, c := range map[string]struct{ rule, want string }{
		"good":          {"waivers := [" + young + "]", ""},
		"a set":         {"waivers contains " + young, ""},
		"no ticket":     {"waivers := [" + strings.Replace(young, `, "ticket": "SEC-1"`, "", 1) + "]", ""},
		"no owner":      {"waivers := [" + strings.Replace(young, `"IAM <iam@corp.example>"`, `""`, 1) + "]", "needs owner"},
		"no end":        {"waivers := [" + strings.Replace(young, `"expires": "2026-12-01", `, "", 1) + "]", "needs expires"},
		"end":           {"waivers := [" + strings.Replace(young, "2026-12-01", "never", 1) + "]", "expires: want a date"},
		"misspelt":      {"waivers := [" + strings.Replace(young, `"owner"`, `"onwer"`, 1) + "]", "did you mean owner"},
		"type":          {"waivers := [" + strings.Replace(young, `"q"`, `1`, 1) + "]", "policy: want a string"},
		"pattern":       {"waivers := [" + strings.Replace(young, "client.json", "*", 1) + "]", "one exact client identifier URL"},
		"host":          {"waivers := [" + strings.Replace(young, example, "app.example.com", 1) + "]", "one exact client identifier URL"},
		"guardrails":    {"waivers := [" + strings.Replace(young, `"q"`, `"guardrails"`, 1) + "]", "cannot be waived"},
		"twice":         {"waivers := [" + young + ", " + strings.Replace(young, "SEC-1", "SEC-2", 1) + "]", "waived twice"},
		"no list":       {"waivers := true", "want a list or set of waivers"},
		"no object":     {"waivers := [\"x\"]", "want a waiver"},
		"reads input":   {"waivers := [x | x := {\"client_id\": input.client_id}]", "cannot read input.client_id"},
		"of a function": {"waivers(x) := [x]", "is a function"},
	} {
		t.Run(name, func(t *testing.T) {
			_, findings, err := policies.Load(context.Background(), policies.Config{FS: vetoed(c.rule).fs(), Now: func() time.Time { return noon }})
			if c.want == "" {
				if err != nil {
					t.Errorf("Load = %v, want no error", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || findings[0].File != "g.rego" || findings[0].Line != 3 {
				t.Errorf("Load = %v, want %q at g.rego:3", err, c.want)
			}
		})
	}
	f := vetoed("")
	f["q.rego"] = policy("q", "waivers := []")
	if _, findings, err := policies.Load(context.Background(), policies.Config{FS: f.fs()}); err == nil || findings[0].Code != "rule_unknown" {
		t.Errorf("Load with waivers in a policy = %v, want rule_unknown", err)
	}
}

// A waiver that changes nothing is a warning, wherever the guardrails come
// from.
func TestIdleWaiversAreSaid(t *testing.T) {
	for name, c := range map[string]struct{ row, want, remedy string }{
		"in force":       {young, "", ""},
		"over":           {strings.Replace(young, "2026-12-01", "2026-11-25", 1), "waiver_expired", "delete it, or give it another day"},
		"unknown policy": {strings.Replace(young, `"q"`, `"qq"`, 1), "waiver_unknown", "did you mean q?"},
		"unknown code":   {strings.Replace(young, `"young"`, `"yuong"`, 1), "waiver_unknown", "did you mean young?"},
	} {
		root := vetoed("")
		delete(root, "g.rego")
		for _, own := range []bool{false, true} {
			f, guard := files{}, "package admission.guardrails\n\nwaivers := ["+c.row+"]\n"
			for k, v := range root {
				f[k] = v
			}
			cfg := policies.Config{FS: f.fs(), Now: func() time.Time { return noon }}
			if own {
				cfg.Guardrails = files{"g.rego": guard}.fs()
			} else {
				f["g.rego"] = guard
				cfg.FS = f.fs()
			}
			_, findings, err := policies.Load(context.Background(), cfg)
			got := ""
			for _, x := range findings {
				if strings.HasPrefix(x.Code, "waiver") {
					got += x.Code + " " + x.Severity + " " + x.Remedy
					if !strings.HasSuffix(x.File, "g.rego") || x.Line != 3 {
						t.Errorf("%s: finding at %s:%d, want g.rego:3", name, x.File, x.Line)
					}
				}
			}
			want := c.want
			if want != "" {
				want += " warning " + c.remedy
			}
			if err != nil || got != want {
				t.Errorf("%s, own root %v: %q, %v, want %q", name, own, got, err, want)
			}
		}
	}
}
