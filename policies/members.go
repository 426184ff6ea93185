package policies

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"guestlist/broker"
)

// phases in order; each knows more than the one before.
var phases = []broker.Phase{broker.PhaseURL, broker.PhaseDocument, broker.PhaseUser, broker.PhaseRefresh}

// rank is the position of a phase.
func rank(p broker.Phase) int { return slices.Index(phases, p) }

// memberRank returns the rank of the first phase that has a top-level member
// of the input.
func memberRank(member string) int {
	for i, p := range phases {
		if !slices.Contains(broker.MembersBefore(p), member) {
			return i
		}
	}
	return len(phases)
}

// jsonName returns the name of a field in the input.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// inputSchema returns the JSON Schema of input, closed except below row,
// published and user.claims. It is what policies are checked against.
func inputSchema(facts factsSchema) map[string]any {
	s := schemaOf(reflect.TypeFor[broker.Input]())
	s["properties"].(map[string]any)["facts"] = facts.schema()
	s["$schema"] = "http://json-schema.org/draft-07/schema#"
	return s
}

func schemaOf(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Struct:
		props := map[string]any{}
		required := []any{}
		for i := range t.NumField() {
			name := jsonName(t.Field(i))
			props[name] = schemaOf(t.Field(i).Type)
			required = append(required, name)
		}
		return map[string]any{"type": "object", "properties": props, "required": required, "additionalProperties": false}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case t.Kind() == reflect.Map:
		return map[string]any{}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	default:
		return map[string]any{"type": "integer"}
	}
}
