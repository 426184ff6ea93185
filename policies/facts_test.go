package policies_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"guestlist/broker"
	"guestlist/policies"
)

// factsSchema is a FactsFile with these properties.
func factsSchema(properties string) string {
	return "{\n\"type\": \"object\",\n\"properties\": {\n" + properties + "\n}}\n"
}

// everyKind has a fact of every type, with everything that one may say.
const everyKind = `"change_freeze": {"type": "boolean", "default": false, "description": "no new grants"},
"tier": {"type": "string", "default": "low", "enum": ["low", "high"]},
"since": {"type": "string", "default": "2026-01-01T00:00:00Z", "format": "date-time"},
"day": {"type": "string", "default": "2026-01-01", "format": "date"},
"limit": {"type": "integer", "default": 3, "minimum": 0, "maximum": 10, "enum": [3, 4, 10]},
"share": {"type": "number", "default": 0.5, "minimum": 0, "maximum": 1},
"owners": {"type": "array", "items": {"type": "string"}, "default": ["ops"]},
"rooms": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "default": []}`

// withFacts is a root with a policy and a FactsFile of these properties.
func withFacts(properties, rules string) files {
	f := one(rules)
	f[policies.FactsFile] = factsSchema(properties)
	return f
}

// Each fault of a facts schema is refused at its line.
func TestFactsSchemaFaults(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string // want: line: part of the message or remedy
	}{
		"no JSON":                    {"{\n\"type\": \"object\",\n}", "3: "},
		"cut off":                    {"{\n\"type\": \"object\"", "2: it ends too early"},
		"a list":                     {"[]", "1: a facts schema is an object"},
		"what follows":               {factsSchema("") + "{}", "6: something follows"},
		"repeated name":              {factsSchema("\"a\": {\"type\": \"boolean\", \"default\": true},\n\"a\": {\"type\": \"boolean\", \"default\": true}"), "5: key \"a\" is written twice"},
		"no type":                    {"{\n\"properties\": {}}", "1: of type object"},
		"another type":               {"{\n\"type\": \"array\", \"properties\": {}}", "2: of type object"},
		"no properties":              {"{\n\"type\": \"object\"}", "1: an object of properties"},
		"required":                   {"{\"type\": \"object\",\n\"required\": [], \"properties\": {}}", "2: a member required"},
		"misspelt member":            {"{\"type\": \"object\",\n\"propertys\": {}, \"properties\": {}}", "2: did you mean properties?"},
		"open":                       {"{\"type\": \"object\", \"properties\": {},\n\"additionalProperties\": true}", "2: additionalProperties is false"},
		"title of another type":      {"{\"type\": \"object\", \"properties\": {},\n\"title\": 1}", "2: title: want a string, have 1"},
		"name":                       {factsSchema(`"change-freeze": {"type": "boolean", "default": false}`), "4: no name of a fact"},
		"upper case name":            {factsSchema(`"Freeze": {"type": "boolean", "default": false}`), "4: no name of a fact"},
		"no object":                  {factsSchema(`"a": true`), "4: fact a is no object"},
		"no type of a fact":          {factsSchema(`"a": {"default": false}`), "4: fact a has no type"},
		"object":                     {factsSchema(`"a": {"type": "object", "default": {}}`), "4: fact a has no type"},
		"null":                       {factsSchema(`"a": {"type": "null", "default": null}`), "4: fact a has no type"},
		"two types":                  {factsSchema(`"a": {"type": ["string", "null"], "default": ""}`), "4: fact a has no type"},
		"no default":                 {factsSchema("\n\"a\": {\"type\": \"boolean\"}"), "5: fact a has no default"},
		"default of another type":    {factsSchema("\"a\": {\"type\": \"boolean\",\n\"default\": \"false\"}"), "5: default: want true or false"},
		"default null":               {factsSchema(`"a": {"type": "string", "default": null}`), "4: default: want a string, have null"},
		"default out of enum":        {factsSchema(`"a": {"type": "string", "default": "c", "enum": ["a"]}`), "4: want one of a"},
		"default too small":          {factsSchema(`"a": {"type": "integer", "default": -1, "minimum": 0}`), "4: want at least 0, have -1"},
		"default too large":          {factsSchema(`"a": {"type": "number", "default": 1.5, "maximum": 1}`), "4: want at most 1, have 1.5"},
		"default no whole number":    {factsSchema(`"a": {"type": "integer", "default": 1.5}`), "4: want a whole number"},
		"default no date":            {factsSchema(`"a": {"type": "string", "default": "", "format": "date"}`), "4: want a date such as"},
		"default no moment":          {factsSchema(`"a": {"type": "string", "default": "2026-01-01", "format": "date-time"}`), "4: want a moment of RFC 3339"},
		"default list of numbers":    {factsSchema(`"a": {"type": "array", "items": {"type": "string"}, "default": [1]}`), "4: entry 1: want a string"},
		"default entry out of enum":  {factsSchema(`"a": {"type": "array", "items": {"type": "string", "enum": ["x"]}, "default": ["x", "y"]}`), "4: entry 2: want one of x"},
		"no items":                   {factsSchema(`"a": {"type": "array", "default": []}`), "4: a list is of strings"},
		"items of numbers":           {factsSchema(`"a": {"type": "array", "items": {"type": "number"}, "default": []}`), "4: a list is of strings"},
		"items with a pattern":       {factsSchema(`"a": {"type": "array", "items": {"type": "string", "pattern": "x"}, "default": []}`), "4: member pattern that facts do not have"},
		"items of a string":          {factsSchema(`"a": {"type": "string", "items": {"type": "string"}, "default": ""}`), "4: items means nothing for type string"},
		"pattern":                    {factsSchema(`"a": {"type": "string", "pattern": "x", "default": "x"}`), "4: member pattern that facts do not have"},
		"misspelt default":           {factsSchema(`"a": {"type": "string", "defualt": "x", "default": "x"}`), "4: did you mean default?"},
		"description of a number":    {factsSchema(`"a": {"type": "string", "description": 1, "default": "x"}`), "4: description: want a string"},
		"format of its own":          {factsSchema(`"a": {"type": "string", "format": "email", "default": "x"}`), "4: the format is not one"},
		"format of a number":         {factsSchema(`"a": {"type": "number", "format": "date", "default": 1}`), "4: format means nothing for type number"},
		"minimum of a string":        {factsSchema(`"a": {"type": "string", "minimum": 1, "default": "x"}`), "4: minimum means nothing for type string"},
		"minimum as text":            {factsSchema(`"a": {"type": "number", "minimum": "1", "default": 1}`), "4: want a number"},
		"minimum above maximum":      {factsSchema(`"a": {"type": "number", "minimum": 2, "maximum": 1, "default": 1}`), "4: the minimum is larger"},
		"enum of a boolean":          {factsSchema(`"a": {"type": "boolean", "enum": [true], "default": true}`), "4: enum means nothing for type boolean"},
		"enum of a list":             {factsSchema(`"a": {"type": "array", "items": {"type": "string"}, "enum": [[]], "default": []}`), "4: enum means nothing for type array"},
		"enum without values":        {factsSchema(`"a": {"type": "string", "enum": [], "default": "x"}`), "4: enum is a list of values"},
		"enum of another type":       {factsSchema("\"a\": {\"type\": \"string\", \"enum\": [\"x\",\n1], \"default\": \"x\"}"), "5: enum: want a string, have 1"},
		"enum with a value repeated": {factsSchema(`"a": {"type": "integer", "enum": [1, 1.0], "default": 1}`), "4: enum has 1 twice"},
		"too much":                   {factsSchema(`"a": {"type": "string", "default": "` + strings.Repeat("x", 8<<10) + `"}`), "3: at most 8192"},
	} {
		set, findings, err := policies.Load(context.Background(), policies.Config{FS: files{policies.FactsFile: c.text}.fs()})
		line, part, _ := strings.Cut(c.want, ": ")
		if set != nil || err == nil || !slices.ContainsFunc(findings, func(f policies.Finding) bool {
			return f.File == policies.FactsFile && fmt.Sprint(f.Line) == line && f.Code == "facts_schema_invalid" && strings.Contains(f.Message+"; "+f.Remedy, part)
		}) {
			t.Errorf("%s: Load = %v, findings %v, want line %s", name, err, findings, c.want)
		}
	}
}

// Where the file must stand, and that its name elsewhere is not passed over.
func TestFactsSchemaPlace(t *testing.T) {
	schema := factsSchema(`"a": {"type": "boolean", "default": false}`)
	_, findings, err := policies.Load(context.Background(), policies.Config{FS: files{"lib/" + policies.FactsFile: schema}.fs()})
	if err != nil || len(findings) != 1 || findings[0].Code != "facts_schema_place" {
		t.Errorf("in a directory below: Load = %v, %v, want a warning", err, findings)
	}
	guards := files{policies.FactsFile: schema, "g.rego": "package admission.guardrails\n\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if input.facts.a\n"}
	_, findings, err = policies.Load(context.Background(), policies.Config{Guardrails: guards.fs()})
	if err == nil || len(findings) == 0 || findings[0].Code != "facts_schema_place" {
		t.Errorf("in the guardrails' root: Load = %v, %v, want it refused", err, findings)
	}
	delete(guards, policies.FactsFile)
	if _, findings, err = policies.Load(context.Background(), policies.Config{FS: files{policies.FactsFile: schema}.fs(), Guardrails: guards.fs()}); err != nil || len(titled(findings)) > 0 {
		t.Errorf("guardrails that read a fact of the policies: Load = %v, %v, want neither", err, findings)
	}
}

// Without a schema no fact can be read, and a misspelt one says so (F6).
func TestUnknownFactsAreRefused(t *testing.T) {
	rules := admits + "\ndeny contains {\"code\": \"x\", \"message\": \"m\"} if input.facts.change_freze\n"
	for name, c := range map[string]struct {
		f    files
		want string
	}{
		"no schema":        {one(rules), "have no facts.schema.json"},
		"an empty schema":  {withFacts("", rules), "have no facts.schema.json, or it names none"},
		"a misspelt fact":  {withFacts(everyKind, rules), "did you mean change_freeze?"},
		"a total stranger": {withFacts(`"a": {"type": "boolean", "default": false}`, rules), "it has a"},
	} {
		_, findings, err := policies.Load(context.Background(), policies.Config{FS: c.f.fs()})
		if err == nil || len(findings) != 1 || findings[0].Code != "input_unknown" || findings[0].Line != 7 || !strings.Contains(findings[0].String(), c.want) {
			t.Errorf("%s: Load = %v, %v, want input_unknown at line 7 with %q", name, err, findings, c.want)
		}
	}
}

// Every fact is there with its default in every phase, so that a denial that
// negates one holds (trap F6), in policies and in guardrails.
func TestFactsAreTotal(t *testing.T) {
	rules := admits + `
_seen := {"change_freeze": input.facts.change_freeze, "tier": input.facts.tier, "since": input.facts.since, "day": input.facts.day,
	"limit": input.facts.limit, "share": input.facts.share, "owners": input.facts.owners, "rooms": input.facts.rooms}

warn contains {"code": "seen", "message": json.marshal(_seen)}

deny contains {"code": "open", "message": "no freeze"} if not input.facts.change_freeze
`
	set := load(t, withFacts(everyKind, rules))
	defaults := map[string]any{"change_freeze": false, "tier": "low", "since": "2026-01-01T00:00:00Z", "day": "2026-01-01",
		"limit": json.Number("3"), "share": json.Number("0.5"), "owners": []any{"ops"}, "rooms": []any{}}
	if got := set.Facts(); !reflect.DeepEqual(got, defaults) {
		t.Errorf("Facts() = %v, want %v", got, defaults)
	}
	want, _ := json.Marshal(defaults)
	for _, phase := range []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh} {
		d := decide(t, set, example, phase)
		refused(t, d, broker.ReasonPolicyDenied)
		if len(d.Warnings) != 1 || d.Warnings[0].Message != string(want) {
			t.Errorf("phase %s: warnings %v, want %s", phase, d.Warnings, want)
		}
		frozen, err := set.WithFacts(map[string]any{"change_freeze": true})
		if err != nil {
			t.Fatal(err)
		}
		allowed(t, decide(t, frozen, example, phase))
		refused(t, decide(t, set, example, phase), broker.ReasonPolicyDenied)
	}
}

// Values are held to the schema, and numbers have one form.
func TestWithFacts(t *testing.T) {
	set := load(t, withFacts(everyKind, admits))
	for _, c := range []struct {
		name string
		v    any
		want any // of Facts(); a string that begins with ! is part of the error
	}{
		{"change_freeze", true, true},
		{"change_freeze", "true", "!change_freeze: want true or false, have \"true\""},
		{"change_freeze", nil, "!want true or false, have null"},
		{"change_freze", true, "!change_freze: there is no such fact in facts.schema.json; did you mean change_freeze?"},
		{"weather", "fine", "!it names change_freeze, day, limit"},
		{"tier", "high", "high"},
		{"tier", "medium", "!want one of low, high, have \"medium\""},
		{"tier", 1, "!want a string, have 1"},
		{"since", "2026-11-25T12:00:00+01:00", "2026-11-25T12:00:00+01:00"},
		{"since", "yesterday", "!want a moment"},
		{"day", "2026-02-30", "!want a date"},
		{"limit", 10, json.Number("10")},
		{"limit", 4.0, json.Number("4")},
		{"limit", json.Number("1e1"), json.Number("10")},
		{"limit", 5, "!want one of 3, 4, 10, have 5"},
		{"limit", 11, "!want at most 10, have 11"},
		{"limit", -1, "!want at least 0, have -1"},
		{"limit", 3.5, "!want a whole number"},
		{"limit", json.Number("1e999"), "!want a whole number"},
		{"share", 1, json.Number("1")},
		{"share", json.Number("1.0"), json.Number("1")},
		{"share", json.Number("-0"), json.Number("0")},
		{"share", "1", "!want a number, have \"1\""},
		{"owners", []string{"b", "a"}, []any{"b", "a"}},
		{"owners", []any{}, []any{}},
		{"owners", "a", "!want a list of strings"},
		{"owners", []any{"a", []any{}}, "!entry 2: want a string"},
		{"rooms", []any{"c"}, "!entry 1: want one of a, b, have \"c\""},
		{"owners", []string{strings.Repeat("x", 8<<10)}, "!at most 8192"},
	} {
		got, err := set.WithFacts(map[string]any{c.name: c.v})
		text, _ := c.want.(string)
		part, fails := strings.CutPrefix(text, "!")
		switch {
		case fails && (err == nil || got != nil || !strings.Contains(err.Error(), part)):
			t.Errorf("WithFacts(%s: %v) = %v, %v, want an error with %q", c.name, c.v, got, err, part)
		case fails:
		case err != nil:
			t.Errorf("WithFacts(%s: %v) = %v", c.name, c.v, err)
		case !reflect.DeepEqual(got.Facts()[c.name], c.want):
			t.Errorf("WithFacts(%s: %v).Facts() = %#v, want %#v", c.name, c.v, got.Facts()[c.name], c.want)
		}
	}
	_, err := set.WithFacts(map[string]any{"tier": 1, "day": 1, "limit": 3})
	var faults policies.FactFaults
	if !errors.As(err, &faults) || len(faults) != 2 || faults[0].Name != "day" || faults[1].Name != "tier" {
		t.Errorf("WithFacts() with two faults = %v, want both", err)
	}
}

// The revision covers what facts there are and not what they are; another
// value compiles nothing again.
func TestFactsAndTheRevision(t *testing.T) {
	root := withFacts(everyKind, admits)
	set := load(t, root)
	other, err := set.WithFacts(map[string]any{"change_freeze": true})
	if err != nil || other.Revision() != set.Revision() || set.Facts()["change_freeze"] != false || other.Facts()["change_freeze"] != true {
		t.Errorf("WithFacts() = revision %q, %v, want %q; facts %v and %v", other.Revision(), err, set.Revision(), set.Facts(), other.Facts())
	}
	given := loadConfig(t, policies.Config{FS: root.fs(), Facts: map[string]any{"change_freeze": true}})
	if given.Revision() != set.Revision() || given.Facts()["change_freeze"] != true {
		t.Errorf("Load with facts: revision %q, facts %v", given.Revision(), given.Facts())
	}
	root[policies.FactsFile] = factsSchema(strings.Replace(everyKind, `"default": false`, `"default": true`, 1))
	if got := load(t, root).Revision(); got == set.Revision() {
		t.Error("another default leaves the revision as it was")
	}
	_, findings, err := policies.Load(context.Background(), policies.Config{FS: root.fs(), Facts: map[string]any{"tier": "x"}})
	if err == nil || len(findings) != 1 || findings[0].Code != "facts_invalid" || !strings.Contains(findings[0].Message, "tier: want one of") {
		t.Errorf("Load with facts that do not fit = %v, %v, want facts_invalid", err, findings)
	}
}

// A rule that reads facts is asked anew under other facts, even where
// everything else is the same.
func TestFactsAreNotRecalled(t *testing.T) {
	set := load(t, withFacts(everyKind, admits+"\ndeny contains {\"code\": \"freeze\", \"message\": \"m\"} if input.facts.change_freeze\n"))
	frozen, err := set.WithFacts(map[string]any{"change_freeze": true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		allowed(t, decide(t, set, example, broker.PhaseURL))
		refused(t, decide(t, frozen, example, broker.PhaseURL), broker.ReasonPolicyDenied)
	}
}

func TestFactsSchemaAndList(t *testing.T) {
	set := load(t, withFacts(everyKind, admits))
	if b, err := json.Marshal(load(t, one(admits)).FactsSchema()); err != nil || !strings.Contains(string(b), `"additionalProperties":false`) || !strings.Contains(string(b), `"properties":{}`) {
		t.Errorf("FactsSchema() without facts = %s, %v, want a closed object of nothing", b, err)
	}
	var got map[string]any
	b, err := json.Marshal(set.FactsSchema())
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || got["additionalProperties"] != false {
		t.Fatalf("FactsSchema() = %s, %v, want a closed object", b, err)
	}
	var want map[string]any
	if err := json.Unmarshal([]byte("{"+everyKind+"}"), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got["properties"], want) {
		t.Errorf("FactsSchema() has the properties\n%v\nwant\n%v", got["properties"], want)
	}
	list := set.ListFacts()
	if len(list) != len(want) || list[0].Name != "change_freeze" || list[0].Description != "no new grants" || list[0].Value != false || list[0].Default != false {
		t.Errorf("ListFacts() = %v", list)
	}
}

func TestParseFact(t *testing.T) {
	set := load(t, withFacts(everyKind, admits))
	for _, c := range []struct {
		name, text string
		want       any // nil: refused
	}{
		{"change_freeze", "true", true}, {"change_freeze", "false", false}, {"change_freeze", "yes", nil}, {"change_freeze", "", nil},
		{"tier", "high", "high"}, {"tier", "true", nil}, {"change_freez", "true", nil},
		{"limit", "4", json.Number("4")}, {"limit", "four", nil}, {"limit", "", nil}, {"limit", "0x4", nil}, {"limit", "null", nil},
		{"share", "0.25", json.Number("0.25")}, {"share", "NaN", nil},
		{"owners", "a,b", []any{"a", "b"}}, {"owners", " a , b ", []any{"a", "b"}}, {"owners", "a", []any{"a"}}, {"owners", "", []any{}}, {"owners", ",", nil},
		{"rooms", "a,c", nil}, {"day", "2026-12-24", "2026-12-24"}, {"day", "tomorrow", nil},
	} {
		got, err := set.ParseFact(c.name, c.text)
		if (err != nil) != (c.want == nil) || err == nil && !reflect.DeepEqual(got, c.want) {
			t.Errorf("ParseFact(%q, %q) = %#v, %v, want %#v", c.name, c.text, got, err, c.want)
		}
	}
}

func TestReadFacts(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{ // want: values as JSON, or ! and part of the error
		{"f.yaml", "a: true\nb: [x, y]\nc: 1.5\nd: 2026-12-24\n", `{"a":true,"b":["x","y"],"c":1.5,"d":"2026-12-24"}`},
		{"f.yaml", "{}\n", `{}`},
		{"f.yml", "{\"a\": 1}", `{"a":1}`},
		{"f.json", "{\"a\": [1, null]}", `{"a":[1,null]}`},
		{"f.json", "a: true", "!f.json:1: invalid character"},
		{"f.json", "{\n\"a\": 1,\n\"a\": 2}", "!f.json:3: key \"a\" is written twice"},
		{"f.json", "[]", "!f.json:1: want one object"},
		{"f.json", " \n", "!f.json: it has no content"},
		{"f.yaml", "", "!f.yaml: it has no content"},
		{"f.yaml", "# nothing\n", "!f.yaml: it has no content"},
		{"f.yaml", "a: 1\na: 2\n", "!already defined"},
		{"f.yaml", "- a\n", "!f.yaml:1: want one object"},
		{"f.yaml", "a\n", "!f.yaml:1: want one object"},
		{"f.yaml", "a: 1\n---\nb: 1\n", "!more than one document"},
		{"f.yaml", "a: [\n", "!f.yaml: "},
	} {
		got, err := policies.ReadFacts(c.file, []byte(c.text))
		if part, fails := strings.CutPrefix(c.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("ReadFacts(%q, %q) = %v, %v, want an error with %q", c.file, c.text, got.Values, err, part)
			}
			continue
		}
		if b, jsonErr := json.Marshal(got.Values); err != nil || jsonErr != nil || string(b) != c.want {
			t.Errorf("ReadFacts(%q, %q) = %s, %v, want %s", c.file, c.text, b, err, c.want)
		}
	}
}

// A fault of a value is told with the line of the file.
func TestExplainFacts(t *testing.T) {
	set := load(t, withFacts(everyKind, admits))
	for file, text := range map[string]string{"f.yaml": "# x\ntier: low\nday: no\nweather: fine\n", "f.json": "{\n\"tier\": \"low\",\n\"day\": \"no\",\n\"weather\": 1}"} {
		v, err := policies.ReadFacts(file, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = set.WithFacts(v.Values)
		if got := v.Explain(err).Error(); !strings.HasPrefix(got, file+":3: day: want a date") || !strings.Contains(got, "\n"+file+":4: weather: there is no such fact") {
			t.Errorf("Explain = %q", got)
		}
	}
}

// The facts of a directory can be told while its policies are broken; such a
// set lets nobody in.
func TestLoadFacts(t *testing.T) {
	root := files{policies.FactsFile: factsSchema(everyKind), "p.rego": "nonsense"}
	set, err := policies.LoadFacts(root.fs())
	if err != nil || set.Facts()["tier"] != "low" {
		t.Fatalf("LoadFacts = %v, %v", set, err)
	}
	refused(t, decide(t, set, example, broker.PhaseURL), broker.ReasonNoPolicyMatched)
	if set, err := policies.LoadFacts(files{}.fs()); err != nil || len(set.Facts()) != 0 {
		t.Errorf("LoadFacts of an empty directory = %v, %v, want no facts", set.Facts(), err)
	}
	root[policies.FactsFile] = "{"
	if _, err := policies.LoadFacts(root.fs()); err == nil || !strings.Contains(err.Error(), "facts.schema.json:1") {
		t.Errorf("LoadFacts of a broken schema = %v, want an error with its line", err)
	}
}
