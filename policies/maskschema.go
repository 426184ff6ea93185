package policies

import (
	"reflect"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker/decisionlog"
)

// recordMember is a member of the record as admission.mask reads it.
type recordMember struct {
	name  string
	about string
	text  func(decisionlog.Record) string // nil: value counts
	value func(decisionlog.Record) (*ast.Term, error)
	typ   string // of value
}

// recordMembers are what a mask decides by. None has more than the record has.
// Each is always there, texts and lists empty where the record has none; but for
// input and result, which are left out then. Members of the header that only
// tell records apart are not among them.
var recordMembers = []recordMember{
	{name: "event", about: "What happened.", text: func(r decisionlog.Record) string { return r.Event }},
	{name: "outcome", about: "What came of it.", text: func(r decisionlog.Record) string { return r.Outcome }},
	{name: "reason", about: "Why something was refused or ended.", text: func(r decisionlog.Record) string { return r.Reason }},
	{name: "public_reason", about: "What the stranger was told instead.", text: func(r decisionlog.Record) string { return r.PublicReason }},
	{name: "timestamp", about: "When it was decided, UTC.", text: func(r decisionlog.Record) string { return r.Timestamp.UTC().Format(time.RFC3339) }},
	{name: "phase", about: "The last phase that the policies were asked in.", text: func(r decisionlog.Record) string { return r.Phase }},
	{name: "client_id", about: "The client.", text: func(r decisionlog.Record) string { return r.ClientID }},
	{name: "registration", about: "How the client is known.", text: func(r decisionlog.Record) string { return r.Registration }},
	{name: "policy", about: "The policies whose settings apply.", typ: "array", value: func(r decisionlog.Record) (*ast.Term, error) { return textsTerm(r.Policy), nil }},
	{name: "labels", about: "The tags of the policy's settings, each with the value \"true\".", typ: "object", value: labelsTerm},
	{name: "subject", about: "The person, as a pseudonym.", text: func(r decisionlog.Record) string { return r.Subject }},
	{name: "grant_id", about: "The installation.", text: func(r decisionlog.Record) string { return r.GrantID }},
	{name: "actor", about: "Who acted, where it is an operator's act.", text: func(r decisionlog.Record) string { return r.Actor }},
	{name: "computed", about: "JSON pointers to what a policy computed, each a place that a mask may name: a text of a denial or warning, /settings, /effective.", typ: "array", value: func(r decisionlog.Record) (*ast.Term, error) { return textsTerm(r.Computed), nil }},
	{name: "detail", about: "The precise text for the operator. Part of the body.", text: func(r decisionlog.Record) string { return r.Detail }},
	{name: "source", about: "The address that the request came from. Part of the body.", text: func(r decisionlog.Record) string { return r.Source }},
	{name: "input", about: "What the policies were given in the last phase; absent where they were not asked. Part of the body.", value: func(r decisionlog.Record) (*ast.Term, error) { return jsonTerm(r.Input) }},
	{name: "result", about: "What they answered; absent where they were not asked. Part of the body.", value: func(r decisionlog.Record) (*ast.Term, error) { return jsonTerm(r.Result) }},
}

// term is the value of the member.
func (m recordMember) term(r decisionlog.Record) (*ast.Term, error) {
	if m.text != nil {
		return ast.StringTerm(m.text(r)), nil
	}
	return m.value(r)
}

func textsTerm(list []string) *ast.Term {
	out := make([]*ast.Term, len(list))
	for i, s := range list {
		out[i] = ast.StringTerm(s)
	}
	return ast.ArrayTerm(out...)
}

func labelsTerm(r decisionlog.Record) (*ast.Term, error) {
	var pairs [][2]*ast.Term
	for name, v := range r.Labels {
		pairs = append(pairs, [2]*ast.Term{ast.StringTerm(name), ast.StringTerm(v)})
	}
	return ast.ObjectTerm(pairs...), nil
}

// recordResult is the result of a record.
type recordResult struct {
	Allow   bool                 `json:"allow"`
	Denials []decisionlog.Denial `json:"denials"`
	Policy  []string             `json:"policy"`
}

// recordSchema is the JSON Schema of the input of admission.mask. Below input
// and result only what there is of them is required.
func recordSchema(facts factsSchema) map[string]any {
	input := inputSchema(facts)
	delete(input, "$schema")
	result := schemaOf(reflect.TypeFor[recordResult]())
	delete(result["properties"].(map[string]any)["denials"].(map[string]any)["items"].(map[string]any), "required") // a record leaves out what is empty
	below := map[string]map[string]any{"input": input, "result": result}
	out := closed()
	props, required := out["properties"].(map[string]any), []any{}
	for _, m := range recordMembers {
		s := below[m.name]
		switch {
		case m.text != nil:
			s = map[string]any{"type": "string"}
		case m.typ == "array":
			s = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
		case m.typ == "object":
			s = map[string]any{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
		}
		s["description"] = m.about
		props[m.name] = s
		if below[m.name] == nil {
			required = append(required, m.name)
		}
	}
	out["required"], out["$schema"] = required, draft
	return out
}

// maskable is the JSON Schema of what a mask may name: the body, and what may
// be computed. Of terms the members are not checked.
func maskable(facts factsSchema) map[string]any {
	out := recordSchema(facts)
	props := out["properties"].(map[string]any)
	texts, phase := closed(), closed()
	for _, member := range []string{"code", "message", "user_message", "remedy"} {
		texts["properties"].(map[string]any)[member] = map[string]any{"type": "string"}
	}
	list := map[string]any{"type": "array", "items": texts}
	phase["properties"] = map[string]any{"denials": list, "warnings": list}
	props["phases"] = map[string]any{"type": "array", "items": phase}
	props["settings"], props["effective"] = map[string]any{}, map[string]any{}
	return out
}

// publishedRecord is recordSchema for editors.
func publishedRecord() map[string]any {
	out := recordSchema(factsSchema{})
	props := out["properties"].(map[string]any)
	about := props["input"].(map[string]any)["description"]
	props["input"] = publishedInput("")
	props["input"].(map[string]any)["description"] = about
	narrow(out, recordEnums())
	out["description"] = "A decision record as admission.mask reads it."
	return out
}

// totalSchema is what is always there of the input of a package.
func (p *pkg) totalSchema(facts factsSchema) map[string]any {
	if p.kind != kindMask {
		return inputSchema(facts)
	}
	out := recordSchema(facts)
	for _, name := range []string{"input", "result"} {
		out["properties"].(map[string]any)[name] = map[string]any{}
	}
	return out
}
