package decisionlog_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// reasons are those of the program.
func reasons() []decisionlog.ReasonDoc {
	var out []decisionlog.ReasonDoc
	for _, r := range broker.Reasons() {
		out = append(out, decisionlog.ReasonDoc{Code: string(r.Reason), Public: string(r.Public), Meaning: r.Meaning})
	}
	return out
}

// G-01 G-29: reference.md has the page of every event, outcome, member and
// reason, as the code has them.
func TestReference(t *testing.T) {
	t.Parallel()
	got := decisionlog.Reference(reasons())
	if *update {
		if err := os.WriteFile("reference.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("reference.md")
	if err != nil || string(have) != got {
		t.Errorf("reference.md is stale (%v): run go test -run TestReference ./broker/decisionlog -update", err)
	}
	for _, e := range decisionlog.Events() {
		if !strings.Contains(got, "\n### `"+e.Name+"`\n\n"+e.When) {
			t.Errorf("the event %s lacks its page", e.Name)
		}
	}
	for _, r := range broker.Reasons() {
		if r.Meaning == "" || !strings.Contains(got, "\n| `"+string(r.Reason)+"` | `"+string(r.Public)+"` | "+r.Meaning) {
			t.Errorf("the reason %s lacks its page", r.Reason)
		}
	}
	for _, o := range outcomes {
		if !strings.Contains(got, "\n| `"+o+"` | ") {
			t.Errorf("the outcome %s lacks its page", o)
		}
	}
}

// TestMembers holds the table of members to the record: each once, in order,
// and personal where Seal puts it.
func TestMembers(t *testing.T) {
	t.Parallel()
	var have []string
	r := sample()
	r.Result = json.RawMessage(`{}`)
	s, err := decisionlog.Seal(1, r)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(s.Body, &body); err != nil || len(body) != 4 {
		t.Fatalf("body = %v, %v, want four members", body, err)
	}
	for _, m := range decisionlog.Members() {
		have = append(have, m.Name)
		if _, in := body[m.Name]; in != m.Personal {
			t.Errorf("%s is in the body: %v, and described so: %v", m.Name, in, m.Personal)
		}
	}
	if want := append([]string{"seq"}, memberNames()...); !slices.Equal(have, want) {
		t.Errorf("Members() = %q, want %q", have, want)
	}
}

// recordSchema is the published schema, ready to check.
func recordSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	b, err := json.Marshal(decisionlog.Schema())
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	resolved, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// opaEvent is every member of a decision log event of Open Policy Agent.
var opaEvent = strings.Fields(`labels decision_id batch_decision_id trace_id span_id revision bundles path query input result
	intermediate_results mapped_result nd_builtin_cache erased masked error requested_by timestamp metrics req_id rule_labels
	request_context custom`)

// TestSchema: the schema takes records, erased ones too, and is a superset of
// OPA's event; it refuses what no record is.
func TestSchema(t *testing.T) {
	t.Parallel()
	schema := recordSchema(t)
	properties := decisionlog.Schema()["properties"].(map[string]any)
	for _, name := range opaEvent {
		if _, ok := properties[name]; !ok {
			t.Errorf("the schema has no %s, which OPA's event has", name)
		}
	}
	good := `{"seq": 1, "decision_id": "d", "timestamp": "2026-11-25T12:00:00Z", "event": "document.pinned", "outcome": "done", "epoch": 3,
		"client_id": "https://client.example.com/c", "registration": "pinned", "document_sha256": "aa", "actor": "root"}`
	for name, tt := range map[string]struct {
		change func(map[string]any)
		valid  bool
	}{
		"a record":                 {func(map[string]any) {}, true},
		"with a body":              {func(r map[string]any) { r["detail"] = "d"; r["source"] = "192.0.2.1" }, true},
		"no seq":                   {func(r map[string]any) { delete(r, "seq") }, false},
		"no actor":                 {func(r map[string]any) { delete(r, "actor") }, false},
		"another outcome":          {func(r map[string]any) { r["outcome"] = "admitted" }, false},
		"an outcome of no record":  {func(r map[string]any) { r["outcome"] = "maybe" }, false},
		"an event of no record":    {func(r map[string]any) { r["event"] = "document.burnt" }, false},
		"an unknown member":        {func(r map[string]any) { r["password"] = "p" }, false},
		"a member of another type": {func(r map[string]any) { r["policy"] = "p" }, false},
		"an unknown member of a cut": {func(r map[string]any) {
			r["cut"] = []any{map[string]any{"member": "m", "value": "v", "by": "b", "x": 1}}
		}, false},
	} {
		var r map[string]any
		if err := json.Unmarshal([]byte(good), &r); err != nil {
			t.Fatal(err)
		}
		tt.change(r)
		if err := schema.Validate(r); (err == nil) != tt.valid {
			t.Errorf("%s: Validate() = %v, want valid %v", name, err, tt.valid)
		}
	}
}
