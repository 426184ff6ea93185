package policies_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/policies"
)

// maskOf is a root with a mask of these rules.
func maskOf(rules string) files {
	return files{"p.rego": "package admission.policies.p\n\n" + admits, "mask.rego": "package admission.mask\n\n" + rules + "\n"}
}

// recorded is a record of the user phase, as the broker writes it.
func recorded(t testing.TB) decisionlog.Record {
	t.Helper()
	q := question(t, example, broker.PhaseUser, func(q *broker.Query) {
		q.Input.Facts = map[string]any{}
		q.Input.User.Groups = []string{"eng", "ops", "hr"}
		q.Input.User.Claims = map[string]any{"email": "alice@corp.example", "a/b~c": "x"}
	})
	in, err := q.Input.PhaseJSON()
	if err != nil {
		t.Fatal(err)
	}
	r := decisionlog.Record{DecisionID: "d1", Timestamp: noon, Event: decisionlog.EventAdmissionDecided, Outcome: decisionlog.OutcomeReused,
		ClientID: example, Phase: "user", Policy: []string{"p"}, Labels: map[string]string{"pilot": "true"}, Subject: "pseudonym",
		Detail: "a detail", Source: "192.0.2.7"}
	r.Keep(&r.Input, in)
	if err := r.Set(&r.Result, map[string]any{"allow": true, "denials": nil, "policy": []string{"p"}}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMask: what admission.mask names is removed or replaced, and listed.
func TestMask(t *testing.T) {
	t.Parallel()
	const ua = `mask contains "/input/request/source/user_agent"`
	for name, tt := range map[string]struct {
		rules          string
		erased, masked string
	}{
		"no element":         {`mask contains "/source" if input.event == "elsewhere"`, "", ""},
		"a pointer":          {ua, "/input/request/source/user_agent", ""},
		"an object":          {`mask contains {"op": "remove", "path": "/input/user/claims/email"} if input.input.user.claims.email`, "/input/user/claims/email", ""},
		"an upsert":          {`mask contains {"op": "upsert", "path": "/source", "value": "192.0.2.0/24"} if input.source != ""`, "", "/source"},
		"escapes":            {`mask contains "/input/user/claims/a~1b~0c"`, "/input/user/claims/a~1b~0c", ""},
		"indices":            {`mask contains sprintf("/input/user/groups/%d", [i]) if { some i, g in input.input.user.groups; g != "ops" }` + "\n", "/input/user/groups/0 /input/user/groups/2", ""},
		"walked":             {`mask contains sprintf("/input/%s", [concat("/", [sprintf("%v", [x]) | some x in path])]) if { some path, v; walk(input.input, [path, v]); v == "alice@corp.example" }`, "/input/user/claims/email", ""},
		"absent":             {`mask contains "/input/user/claims/phone"`, "", ""},
		"by event":           {`mask contains "/detail" if input.event == "admission.decided"`, "/detail", ""},
		"by every member":    {`mask contains "/detail" if { input.outcome == "reused"; input.reason == ""; input.public_reason == ""; input.timestamp == "2026-11-25T12:00:00Z"; input.phase == "user"; input.client_id == "` + example + `"; input.registration == ""; input.policy == ["p"]; input.labels.pilot == "true"; input.subject == "pseudonym"; input.grant_id == ""; input.actor == ""; input.detail == "a detail"; input.source == "192.0.2.7"; input.result.allow; input.input.phase == "user" }`, "/detail", ""},
		"two rules disagree": {`mask contains {"op": "upsert", "path": "/source", "value": "x"}` + "\n\n" + `mask contains "/source"`, "/source", ""},
		"a constant set":     {`mask contains p if some p in {"/source", "/detail"}`, "/detail /source", ""},
		"a helper":           {"_quiet if input.phase == \"user\"\n\n" + ua + " if _quiet", "/input/request/source/user_agent", ""},
	} {
		set := load(t, maskOf(tt.rules))
		if !set.Masks() {
			t.Errorf("%s: Masks() = false", name)
		}
		was := recorded(t)
		r, err := set.Mask(context.Background(), was)
		if err != nil || strings.Join(r.Erased, " ") != tt.erased || strings.Join(r.Masked, " ") != tt.masked || r.MaskError != "" {
			t.Errorf("%s: Mask() erased %q, masked %q, %v, want %q and %q", name, r.Erased, r.Masked, err, tt.erased, tt.masked)
		}
		if string(was.Input) != string(recorded(t).Input) {
			t.Errorf("%s: Mask changed the record it was given", name)
		}
		if tt.erased == "" && tt.masked == "" && string(r.Input) != string(was.Input) {
			t.Errorf("%s: the input is %s, want %s", name, r.Input, was.Input)
		}
	}
}

// TestMaskLibraries: a mask uses data and libraries, and libraries that read the
// input of policies do not hinder it.
func TestMaskLibraries(t *testing.T) {
	t.Parallel()
	f := maskOf("import data.records.quiet\n\nmask contains path if {\n\tquiet.event(input.event)\n\tsome path in data.hidden.paths\n}")
	f["quiet.rego"] = "package records.quiet\n\nevent(e) if data.names.known[e]\n"
	f["names.rego"] = "package names\n\nknown := {\"admission.decided\": true}\n"
	f["other.rego"] = "package other\n\nhost := input.client.host\n"
	f["hidden/data.json"] = `{"paths": ["/source"]}`
	f["mask_test.rego"] = "package admission.mask_test\n\nimport data.admission.mask\n\ntest_hidden if \"/source\" in mask.mask with input as {\"event\": \"admission.decided\"}\n"
	r, err := load(t, f).Mask(context.Background(), recorded(t))
	if err != nil || r.Source != "" || !slices.Equal(r.Erased, []string{"/source"}) {
		t.Errorf("Mask() = %q, erased %q, %v, want no source", r.Source, r.Erased, err)
	}
	report, err := policies.Test(context.Background(), policies.TestConfig{Config: policies.Config{FS: f.fs()}})
	if err != nil || len(report.Tests) != 1 || len(report.Failed()) != 0 {
		t.Errorf("Test() = %+v, %v, want one that passes", report, err)
	}
}

// TestMaskOfEveryRecord: each kind of record can be masked, those without a
// question to the policies too, and none is given more than it has.
func TestMaskOfEveryRecord(t *testing.T) {
	t.Parallel()
	set := load(t, maskOf(`mask contains "/detail"`+"\n\n"+`mask contains "/source" if not input.input`+"\n\n"+`mask contains "/input/user/sub" if input.input.user.sub != ""`+"\n"))
	dir := filepath.Join("..", "testdata", "records")
	all, err := os.ReadDir(dir)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	for _, f := range all {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		var r decisionlog.Record
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		got, err := set.Mask(context.Background(), r)
		if err != nil || got.Detail != "" || r.Input == nil && got.Source != "" || (r.Detail != "") != slices.Contains(got.Erased, "/detail") {
			t.Errorf("%s: Mask() = %+v, %v", f.Name(), got, err)
		}
	}
}

// TestMaskFails: what cannot be masked is kept without its body, and what says
// so says nothing of the record.
func TestMaskFails(t *testing.T) {
	t.Parallel()
	broken := recorded(t)
	broken.Input = json.RawMessage(`{"user": `)
	for name, tt := range map[string]struct {
		rules string
		r     decisionlog.Record
		why   string
	}{
		"a built-in error":    {`mask contains sprintf("/input/%d", [to_number(input.input.user.claims.email)])`, recorded(t), "mask.rego:3: eval_builtin_error at mask.rego:3"},
		"a conflict":          {"_v := input.event\n\n_v := input.source\n\nmask contains _v", recorded(t), "mask.rego:7: eval_conflict_error at mask.rego:5"},
		"never ends":          {`mask contains sprintf("/input/%d", [i + j + count(input.event)]) if { some i in numbers.range(1, 100000); some j in numbers.range(1, 100000) }`, recorded(t), "mask.rego:3: the evaluation did not finish in its time at mask.rego:3"},
		"the header":          {`mask contains concat("", ["/", input.event])`, recorded(t), "mask.rego:3: a path does not lead into the body of the record"},
		"no element":          {`mask contains input.labels`, recorded(t), "mask.rego:3: an element is neither a JSON pointer nor"},
		"an unknown member":   {`mask contains object.union({"op": "remove", "path": "/source"}, {"why": input.event})`, recorded(t), "mask.rego:3: an element is neither a JSON pointer nor"},
		"a value too large":   {`mask contains {"op": "upsert", "path": "/source", "value": concat("", [input.source | some _ in numbers.range(1, 2000)])}`, recorded(t), "mask.rego:3: more edits than one record takes"},
		"too many elements":   {`mask contains sprintf("/input/%d", [i]) if { input.event != ""; some i in numbers.range(1, 300) }`, recorded(t), "mask.rego:3: more edits than one record takes"},
		"a source of no text": {`mask contains {"op": "upsert", "path": "/source", "value": count(input.source)}`, recorded(t), "mask.rego:3: detail, source and the texts of denials are replaced by text only"},
		"an input of no JSON": {`mask contains "/source" if input.input.user.sub == "x"`, broken, "mask.rego:3: the body is no JSON"},
	} {
		set := load(t, maskOf(tt.rules))
		r, err := set.Mask(context.Background(), tt.r)
		var masked *policies.Masked
		if !errors.As(err, &masked) || !strings.HasPrefix(r.MaskError, tt.why) || err.Error() != "mask a record: "+r.MaskError {
			t.Errorf("%s: Mask() = %q, %v, want %q", name, r.MaskError, err, tt.why)
		}
		s, err := decisionlog.Seal(1, r)
		if err != nil || string(s.Body) != "{}" || len(r.Erased) != 4 || r.Masked != nil || r.ClientID != example {
			t.Errorf("%s: Mask() = %+v, %v, want the header alone", name, r, err)
		}
		for _, secret := range []string{"alice", "192.0.2.7"} {
			if strings.Contains(string(s.Header), secret) {
				t.Errorf("%s: the header holds %s: %s", name, secret, s.Header)
			}
		}
	}
}

// TestMaskIsChecked: what the text of a mask shows is an error at load, with
// file, line and a remedy.
func TestMaskIsChecked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rules        string
		code, remedy string
	}{
		"good":                      {`mask contains "/input/user/claims/anything/at~1all" if input.input.user.claims.email != ""`, "", ""},
		"an index":                  {`mask contains "/input/user/groups/3"`, "", ""},
		"a header member":           {`mask contains "/client_id"`, "mask_path", "the body of a record is"},
		"a header member, object":   {`mask contains {"op": "upsert", "path": "/subject", "value": "x"}`, "mask_path", "the body of a record is"},
		"no pointer":                {`mask contains "input/user"`, "mask_path", "the body of a record is"},
		"a wrong escape":            {`mask contains "/input/published/a~b"`, "mask_path", "~1"},
		"a misspelt path":           {`mask contains "/input/user/clams/email"`, "mask_path", "did you mean claims?"},
		"a misspelt member of all":  {`mask contains "/inputs/user"`, "mask_path", "the body of a record is"},
		"a name in a list":          {`mask contains "/input/user/groups/eng"`, "mask_path", "write an index"},
		"below a text":              {`mask contains "/source/ip"`, "mask_path", ""},
		"computed text":             {`mask contains "/phases/1/denials/0/user_message"`, "", ""},
		"computed terms":            {`mask contains "/settings/tags/0"`, "", ""},
		"a phase, by name":          {`mask contains "/phases/user"`, "mask_path", "write an index"},
		"a member of a phase":       {`mask contains "/phases/0/winner"`, "mask_path", ""},
		"what is never computed":    {`mask contains "/phases/0/warnings/0/policy"`, "mask_path", ""},
		"a misspelt read":           {`mask contains "/source" if input.evnt == "x"`, "input_unknown", "did you mean event?"},
		"a misspelt read below":     {`mask contains "/source" if input.input.user.clams`, "input_unknown", "did you mean claims?"},
		"the input of policies":     {`mask contains "/source" if input.client.host == "x"`, "input_unknown", ""},
		"the whole record":          {`mask contains "/source" if count(input) > 3`, "input_bare", ""},
		"a misspelt rule":           {`masks contains "/source"`, "rule_unknown", "did you mean mask?"},
		"no rule":                   {`_x := 1`, "mask_invalid", "write: mask contains"},
		"not a set":                 {`mask := {"/source"}`, "rule_shape", "mask contains"},
		"a number":                  {`mask contains 7`, "mask_invalid", "write a JSON pointer"},
		"an unknown operation":      {`mask contains {"op": "delete", "path": "/source"}`, "mask_invalid", "write a JSON pointer"},
		"an unknown member":         {`mask contains {"op": "remove", "path": "/source", "why": "x"}`, "mask_invalid", "write a JSON pointer"},
		"an upsert without a value": {`mask contains {"op": "upsert", "path": "/source"}`, "mask_invalid", "write a JSON pointer"},
		"a removal with a value":    {`mask contains {"op": "remove", "path": "/source", "value": 1}`, "mask_invalid", "write a JSON pointer"},
		"no path":                   {`mask contains {"op": "remove"}`, "mask_invalid", "write a JSON pointer"},
		"a constant, computed":      {`mask contains p if some p in {"/source", "/seq"}`, "mask_invalid", ""},
		"a constant leads nowhere":  {`mask contains p if some p in {"/source", "/input/usr"}`, "mask_path", "did you mean user?"},
		"a forbidden built-in":      {`mask contains "/source" if time.now_ns() > 0`, "builtin_not_allowed", ""},
		"absence behind not":        {`mask contains "/source" if not startswith(input.input.user.sub, "a")`, "negated_absence", ""},
		"absence itself":            {`mask contains "/source" if not input.input.user`, "", ""},
		"never":                     {`mask contains "/source" if not input.detail`, "never_holds", ""},
		"another policy":            {`mask contains "/source" if data.admission.policies.p.settings`, "policy_reference", ""},
		"with":                      {`mask contains "/source" if _x with input.event as "x"` + "\n\n_x if input.event == \"x\"", "with_not_allowed", ""},
	} {
		set, findings, err := policies.Load(context.Background(), policies.Config{FS: maskOf(tt.rules).fs()})
		findings = slices.DeleteFunc(findings, func(f policies.Finding) bool { return f.Severity != policies.SeverityError })
		switch {
		case tt.code == "" && (err != nil || !set.Masks()):
			t.Errorf("%s: Load = %v, want no error", name, err)
		case tt.code != "" && (len(findings) == 0 || findings[0].Code != tt.code || findings[0].File != "mask.rego" || findings[0].Line == 0 || !strings.Contains(findings[0].Remedy, tt.remedy)):
			t.Errorf("%s: Load = %v, want a finding %s of mask.rego with remedy %q", name, findings, tt.code, tt.remedy)
		}
	}
}

// TestMisspeltValues: a value that a member never has is a warning, with file,
// line and the value that was meant.
func TestMisspeltValues(t *testing.T) {
	t.Parallel()
	mask := func(rules string) files { return maskOf(rules) }
	policy := func(rules string) files {
		return files{"mask.rego": "package admission.policies.p\n\n" + admits + rules + "\n"}
	}
	for name, tt := range map[string]struct {
		root   files
		line   int // 0: no warning
		remedy string
	}{
		"an event":                       {mask(`mask contains "/source" if input.event == "admision.decided"`), 3, "did you mean admission.decided?"},
		"one of no name":                 {mask(`mask contains "/source" if input.event == "x"`), 3, "guestlist audit reference lists what there is"},
		"the right event":                {mask(`mask contains "/source" if input.event == "admission.decided"`), 0, ""},
		"the other way round":            {mask("mask contains \"/source\" if {\n\t\"client.refused\" == input.event\n}"), 4, "did you mean client."},
		"unified":                        {mask(`mask contains "/source" if input.event = "token.isued"`), 3, "did you mean token.issued?"},
		"not equal":                      {mask(`mask contains "/source" if input.event != "token.isued"`), 3, "did you mean token.issued?"},
		"behind not":                     {mask(`mask contains "/source" if not input.event == "token.isued"`), 3, "did you mean token.issued?"},
		"in a set":                       {mask("mask contains \"/source\" if input.event in {\n\t\"token.issued\",\n\t\"token.isued\",\n}"), 5, "did you mean token.issued?"},
		"in a list":                      {mask(`mask contains "/source" if input.event in ["token.isued"]`), 3, "did you mean token.issued?"},
		"in a rule":                      {mask("_quiet := {\"token.isued\"}\n\nmask contains \"/source\" if input.event in _quiet"), 3, "did you mean token.issued?"},
		"in a rule that collects":        {mask("_quiet contains \"token.isued\"\n\nmask contains \"/source\" if input.event in _quiet"), 3, "did you mean token.issued?"},
		"looked up":                      {mask("_quiet := {\"token.isued\"}\n\nmask contains \"/source\" if _quiet[input.event]"), 3, "did you mean token.issued?"},
		"gone through":                   {mask("_quiet := {\"token.isued\"}\n\nmask contains \"/source\" if {\n\tsome e in _quiet\n\tinput.event == e\n}"), 3, "did you mean token.issued?"},
		"by another name":                {mask("mask contains \"/source\" if {\n\te := input.event\n\te == \"token.isued\"\n}"), 5, "did you mean token.issued?"},
		"through an import":              {mask("import input.event\n\nmask contains \"/source\" if event == \"token.isued\""), 5, "did you mean token.issued?"},
		"in a comprehension":             {mask(`mask contains "/source" if count([1 | input.event == "token.isued"]) > 0`), 3, "did you mean token.issued?"},
		"a beginning":                    {mask(`mask contains "/source" if startswith(input.event, "tokens.")`), 3, "guestlist audit reference"},
		"the right beginning":            {mask(`mask contains "/source" if startswith(input.event, "token.")`), 0, ""},
		"an outcome":                     {mask(`mask contains "/source" if input.outcome == "refuse"`), 3, "did you mean refused?"},
		"a reason":                       {mask(`mask contains "/source" if input.reason == "no_policy_match"`), 3, "did you mean no_policy_matched?"},
		"no reason":                      {mask(`mask contains "/source" if input.reason == ""`), 0, ""},
		"a public reason":                {mask(`mask contains "/source" if input.public_reason == "try_latr"`), 3, "did you mean try_later?"},
		"a phase":                        {mask(`mask contains "/source" if input.phase == "consent"`), 3, "it is one of document, refresh, url, user"},
		"a registration":                 {mask(`mask contains "/source" if input.registration == "pined"`), 3, "did you mean pinned?"},
		"of the question":                {mask(`mask contains "/source" if input.input.request.redirect.kind == "loopbak"`), 3, "did you mean loopback?"},
		"an open one":                    {mask(`mask contains "/source" if input.client_id == "x"`), 0, ""},
		"a name that is used twice":      {mask("mask contains \"/source\" if {\n\tcount([x | some x in {\"a\"}]) > 0\n\tsome x in {\"token.issued\"}\n\tinput.event == x\n}"), 0, ""},
		"what a map holds":               {mask("_about.x := \"a\"\n\nmask contains \"/source\" if _about[input.event]"), 0, ""},
		"a policy":                       {policy(`deny contains {"code": "x", "message": "m"} if input.request.redirect.kind == "private"`), 6, "it is one of https, loopback, private_scheme"},
		"a policy that knows the day":    {policy(`deny contains {"code": "x", "message": "m"} if input.clock.weekday == "sunday"`), 0, ""},
		"a policy that knows no weekend": {policy(`deny contains {"code": "x", "message": "m"} if input.clock.weekday in ["Sunday"]`), 6, "did you mean sunday?"},
	} {
		_, findings, err := policies.Load(context.Background(), policies.Config{FS: tt.root.fs()})
		if err != nil {
			t.Errorf("%s: Load = %v", name, err)
		}
		findings = slices.DeleteFunc(findings, func(f policies.Finding) bool { return f.Code != "value_unknown" })
		switch {
		case tt.line == 0 && len(findings) > 0, tt.line > 0 && len(findings) != 1:
			t.Errorf("%s: Load says %v", name, findings)
		case tt.line > 0 && (findings[0].Severity != policies.SeverityWarning || findings[0].File != "mask.rego" || findings[0].Line != tt.line || !strings.Contains(findings[0].Remedy, tt.remedy)):
			t.Errorf("%s: Load says %s, want line %d and %q", name, findings[0], tt.line, tt.remedy)
		}
	}
}

// TestMaskHasItsPlace: one file, in the root of the policies, with somebody who
// answers for it, and part of the revision.
func TestMaskHasItsPlace(t *testing.T) {
	t.Parallel()
	const hide = `mask contains "/source"`
	twice := maskOf(hide)
	twice["again.rego"] = "package admission.mask\n\n_x := 1\n"
	elsewhere := files{"p.rego": maskOf(hide)["p.rego"], "mask.rego": "package system.log\n\n" + hide + "\n"}
	below := maskOf(hide)
	below["below.rego"] = "package admission.mask.more\n\nx := 1\n"
	reached := maskOf(hide)
	reached["p.rego"] += "\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if data.admission.mask.mask\n"
	for name, tt := range map[string]struct {
		cfg  policies.Config
		code string
	}{
		"twice":                 {policies.Config{FS: twice.fs()}, "package_twice"},
		"under OPA's own name":  {policies.Config{FS: elsewhere.fs()}, "package_unknown"},
		"a package below":       {policies.Config{FS: below.fs()}, "package_unknown"},
		"read by a policy":      {policies.Config{FS: reached.fs()}, "policy_reference"},
		"among the guardrails":  {policies.Config{Guardrails: maskOf(hide).fs()}, "package_not_guardrails"},
		"data that stands in":   {policies.Config{FS: files{"admission/mask/data.json": `{"mask": []}`}.fs()}, "data_below_admission"},
		"nobody answers for it": {policies.Config{FS: maskOf(hide).fs()}, "metadata_missing"},
	} {
		_, findings, err := policies.Load(context.Background(), tt.cfg)
		if !slices.ContainsFunc(findings, func(f policies.Finding) bool { return f.Code == tt.code }) {
			t.Errorf("%s: Load = %v, findings %v, want %s", name, err, findings, tt.code)
		}
	}
	with, without := load(t, maskOf(hide)), load(t, files{"p.rego": maskOf(hide)["p.rego"]})
	if with.Revision() == without.Revision() || without.Masks() || len(with.Policies()) != 1 {
		t.Errorf("a mask: revisions %s and %s, policies %v, want another revision and no policy", with.Revision(), without.Revision(), with.Policies())
	}
	r, err := without.Mask(context.Background(), recorded(t))
	if err != nil || r.Source != "192.0.2.7" || r.Erased != nil {
		t.Errorf("without a mask: Mask() = %+v, %v, want it as it is", r, err)
	}
	facts, err := with.WithFacts(nil)
	if err != nil || !facts.Masks() {
		t.Errorf("with facts: %v, masks %v", err, facts.Masks())
	}
	again, err := policies.LoadBundle(context.Background(), with.Bundle(), policies.Config{})
	if err != nil || !again.Masks() || again.Revision() != with.Revision() {
		t.Errorf("from its bundle: %v", err)
	}
}

func BenchmarkMask(b *testing.B) {
	for name, rules := range map[string]string{
		"constant":    `mask contains "/input/request/source/user_agent"`,
		"conditional": `mask contains "/input/user/claims/email" if input.input.user.sub != ""` + "\n\n" + `mask contains "/source" if input.event != "x"`,
	} {
		b.Run(name, func(b *testing.B) {
			set, r := load(b, maskOf(rules)), recorded(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := set.Mask(context.Background(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestMaskOfTheExample: the example keeps networks and no browser.
func TestMaskOfTheExample(t *testing.T) {
	t.Parallel()
	set := loadConfig(t, policies.Config{FS: os.DirFS(filepath.Join(examplesDir, "open-with-quarantine"))})
	r, err := set.Mask(context.Background(), recorded(t))
	if err != nil || r.Source != "192.0.2.0/24" || !strings.Contains(string(r.Input), `"source":{"ip":"192.0.2.0/24"}`) ||
		!slices.Equal(r.Erased, []string{"/input/request/source/user_agent"}) || !slices.Equal(r.Masked, []string{"/input/request/source/ip", "/source"}) {
		t.Errorf("Mask() = %+v, %v\ninput %s", r, err, r.Input)
	}
}
