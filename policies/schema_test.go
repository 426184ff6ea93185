package policies_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"

	"guestlist/broker"
	"guestlist/policies"
)

// fits holds a document to a schema by the engine's own validator.
func fits(t *testing.T, schema map[string]any, document any) (bool, string) {
	t.Helper()
	results, err := rego.New(rego.Query("x = json.match_schema(input.document, input.schema)"),
		rego.Input(map[string]any{"document": document, "schema": schema})).Eval(t.Context())
	if err != nil || len(results) != 1 {
		t.Fatalf("json.match_schema: %v, %v", results, err)
	}
	found := results[0].Bindings["x"].([]any)
	why, _ := json.Marshal(found[1])
	return found[0].(bool), string(why)
}

func schema(t *testing.T, name string, phase broker.Phase) map[string]any {
	t.Helper()
	s, err := policies.Schema(name, phase)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// TestSettingsSchemaSaysWhatLoadingSays: schema and decoder agree on values
// good and bad.
func TestSettingsSchemaSaysWhatLoadingSays(t *testing.T) {
	settings, list := schema(t, "settings", ""), schema(t, "list", "")
	for text, want := range map[string]bool{
		`{}`: true,
		`{"scopes": {"ceiling": ["a", "b"], "default": ["a"], "unknown": "reject", "document": "intersect"}}`: true,
		`{"scopes": {"ceiling": "a"}}`: false, `{"scopes": {"ceiling": ["a b"]}}`: false, `{"scopes": {"unknown": "keep"}}`: false, `{"scope": {}}`: false, `{"scopes": {"top": []}}`: false,
		`{"consent": {"mode": "once", "max_age": "1d12h"}}`: true, `{"consent": {"mode": "never"}}`: false, `{"consent": {"max_age": 3}}`: false,
		`{"access_token": {"ttl": "90s", "format": "opaque"}}`: true, `{"access_token": {"ttl": "ninety"}}`: false, `{"access_token": {"ttl": ""}}`: false, `{"access_token": {"ttl": "5"}}`: false,
		`{"access_token": {"ttl": "1.5m"}}`: true, `{"client_ttl": "d"}`: false, `{"client_ttl": "0d1s"}`: true, `{"client_ttl": "-1s"}`: false,
		`{"document": {"max_bytes": 65536}}`: true, `{"document": {"max_bytes": 65537}}`: false, `{"document": {"max_bytes": 0}}`: false, `{"document": {"max_bytes": 1.5}}`: false,
		`{"redirect": {"hosts": null}}`: true, `{"redirect": {"hosts": ["cb.example.com"]}}`: true, `{"redirect": {"hosts": ["CB.example.com"]}}`: false, `{"redirect": {"loopback": "yes"}}`: false,
		`{"audiences": null}`: true, `{"grant_types": null}`: false, `{"token_endpoint_auth_methods": []}`: false, `{"token_endpoint_auth_methods": ["none"]}`: true, `{"token_endpoint_auth_methods": ["client_secret_post"]}`: false,
		`{"require": {"pkce": true}}`: true, `{"require": {"pkce": false}}`: false, `{"tags": ["a"]}`: true, `{"tags": [""]}`: false, `[]`: false,
		`{"replay_prevention": true, "on_policy_change": "keep", "compat": {"token_endpoint_audience": false}}`: true,
	} {
		value := decoded(t, text)
		row := map[string]any{"path": "/c", "settings": value}
		_, err := policies.ReadRow("a.example.com", row)
		ok, why := fits(t, settings, value)
		inRow, rowWhy := fits(t, list, map[string]any{"a.example.com": []any{row}})
		if (err == nil) != want || ok != want || inRow != want {
			t.Errorf("%s: decoder %v, settings %v %s, list %v %s; want %v", text, err, ok, why, inRow, rowWhy, want)
		}
	}
}

func TestListSchema(t *testing.T) {
	s := schema(t, "list", "")
	for text, want := range map[string]bool{
		`{"a.example.com": [{"path": "/b"}]}`: true,
		`{"*.a.example.com:8443": [{"path": "/b/**", "expires": "2027-03-31", "owner": "Team", "ticket": "T-1", "settings": {"tags": ["x"]}}]}`: true,
		`{"a.example.com": {"path": "/b"}}`: false, `{"a.example.com": [{}]}`: false, `{"a.example.com": [{"path": "b"}]}`: false,
		`{"a.example.com": [{"path": "/b", "expire": "2027-03-31"}]}`: false, `{"a.example.com": [{"path": "/b", "expires": "soon"}]}`: false,
		`{"https://a.example.com": [{"path": "/b"}]}`: false, `{"a.example.com": [{"path": "/b", "settings": {"claims": {}}}]}`: false,
	} {
		if ok, why := fits(t, s, decoded(t, text)); ok != want {
			t.Errorf("%s fits %v %s, want %v", text, ok, why, want)
		}
	}
	known, err := os.ReadFile("starter/known_clients/known_clients/data.json")
	if err != nil {
		t.Fatal(err)
	}
	if ok, why := fits(t, s, decoded(t, string(known)).(map[string]any)["hosts"]); !ok {
		t.Errorf("the known clients do not fit: %s", why)
	}
	lists, err := filepath.Glob("../examples/policies/*/lists/*/data.json")
	if err != nil || len(lists) == 0 {
		t.Fatalf("%d lists of the examples, %v", len(lists), err)
	}
	for _, file := range lists {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if ok, why := fits(t, s, decoded(t, string(body))); !ok {
			t.Errorf("%s does not fit: %s", file, why)
		}
	}
}

func TestFactsSchemaOfTheFile(t *testing.T) {
	s := schema(t, "facts", "")
	files, err := filepath.Glob("../examples/policies/*/facts.schema.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range append(files, "library/facts.schema.json") {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if ok, why := fits(t, s, decoded(t, string(body))); !ok {
			t.Errorf("%s does not fit: %s", file, why)
		}
	}
	for _, text := range []string{
		`{"properties": {}}`, `{"type": "object"}`, `{"type": "array", "properties": {}}`, `{"type": "object", "properties": {"a": {"type": "boolean"}}}`,
		`{"type": "object", "properties": {"A": {"type": "boolean", "default": true}}}`, `{"type": "object", "properties": {"a": {"type": "null", "default": null}}}`,
		`{"type": "object", "properties": {"a": {"type": "string", "default": "", "pattern": "x"}}}`, `{"type": "object", "properties": {}, "required": []}`,
	} {
		if ok, _ := fits(t, s, decoded(t, text)); ok {
			t.Errorf("%s fits", text)
		}
	}
}

// TestInputSchema: the input of each phase fits its schema and that of no
// earlier phase, and the schema of all phases takes each.
func TestInputSchema(t *testing.T) {
	phases := []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh}
	for i, phase := range phases {
		in := broker.Input{Contract: broker.Contract, Phase: phase, Registration: broker.RegistrationCIMD, Clock: broker.ClockInput{Weekday: "monday"}}
		body, err := in.PhaseJSON()
		if err != nil {
			t.Fatal(err)
		}
		document := decoded(t, strings.ReplaceAll(string(body), "null", "[]")).(map[string]any)
		for _, name := range []string{"facts", "published"} {
			if document[name] != nil {
				document[name] = map[string]any{}
			}
		}
		document["row"] = nil
		if user, ok := document["user"].(map[string]any); ok {
			user["claims"] = map[string]any{}
		}
		for j, other := range phases {
			document["phase"] = string(other) // the other members tell them apart
			ok, why := fits(t, schema(t, "input", other), document)
			if ok != (i == j) {
				t.Errorf("input of phase %s against the schema of %s: %v %s", phase, other, ok, why)
			}
		}
		document["phase"] = string(phase)
		if ok, why := fits(t, schema(t, "input", ""), document); !ok {
			t.Errorf("input of phase %s against the schema of all: %s", phase, why)
		}
		document["registration"] = "dcr"
		if ok, _ := fits(t, schema(t, "input", phase), document); ok {
			t.Errorf("an unknown registration fits")
		}
	}
}

// TestSchemasExplainThemselves: every schema has an id and a title, every
// member of input says what it is, every setting its strict value.
func TestSchemasExplainThemselves(t *testing.T) {
	for _, name := range policies.SchemaNames() {
		s := schema(t, name, "")
		if s["$id"] == nil || s["title"] == nil || s["$schema"] != "http://json-schema.org/draft-07/schema#" {
			t.Errorf("schema %s is %v %v %v", name, s["$id"], s["title"], s["$schema"])
		}
	}
	for name, member := range schema(t, "input", "")["properties"].(map[string]any) {
		if about, _ := member.(map[string]any)["description"].(string); about == "" {
			t.Errorf("input.%s is not described", name)
		}
	}
	var walk func(path string, node map[string]any)
	walk = func(path string, node map[string]any) {
		props, inner := node["properties"].(map[string]any)
		if about, _ := node["description"].(string); !inner && (!strings.Contains(about, "Strict value: ") || node["type"] == nil) {
			t.Errorf("settings %s: %v", path, node)
		}
		for name, sub := range props {
			walk(path+"."+name, sub.(map[string]any))
		}
	}
	walk("", schema(t, "settings", ""))
	if _, err := policies.Schema("rows", ""); err == nil || !strings.Contains(err.Error(), "input, settings, list, facts") {
		t.Errorf("an unknown schema: %v", err)
	}
	for name, phase := range map[string]broker.Phase{"input": "consent", "settings": broker.PhaseURL} {
		if _, err := policies.Schema(name, phase); err == nil {
			t.Errorf("schema %s of phase %s is there", name, phase)
		}
	}
}
