package decisionlog

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// object is a node of a JSON Schema.
type object = map[string]any

// Schema is the JSON Schema, draft 2020-12, of a record as exporters and
// commands write it: made from the types and the table of events. It takes a
// record whose body is erased, and every member of a decision log event of
// Open Policy Agent.
func Schema() map[string]any {
	out := schemaOf(reflect.TypeFor[Record]())
	properties := out["properties"].(object)
	properties["seq"] = object{"type": "integer", "minimum": 1}
	properties["body_erased"] = object{"const": true, "description": "The body went by age (decision_log.retain). Absent where it is there."}
	for _, m := range Members() {
		if p, ok := properties[m.Name].(object); ok {
			p["description"] = m.Meaning
		}
	}
	for _, name := range opaOnly {
		if _, ours := properties[name]; !ours {
			properties[name] = object{"description": "Of a decision log event of Open Policy Agent; a record does not write it."}
		}
	}
	var names []string
	var each []object
	for _, e := range Events() {
		names = append(names, e.Name)
		then := object{"properties": object{"outcome": object{"enum": e.Outcomes}}}
		if has := slices.DeleteFunc(slices.Clone(e.Has), erasable); len(has) > 0 {
			then["required"] = has
		}
		each = append(each, object{"if": object{"properties": object{"event": object{"const": e.Name}}}, "then": then})
	}
	var outcomes []string
	for _, o := range outcomeDocs {
		outcomes = append(outcomes, o[0])
	}
	properties["event"].(object)["enum"], properties["outcome"].(object)["enum"] = names, outcomes
	out["required"] = append([]string{"seq"}, out["required"].([]string)...)
	maps.Copy(out, object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://guestlist.invalid/schemas/record.schema.json",
		"title": "guestlist decision record", "allOf": each,
	})
	return out
}

// erasable reports whether a member is stored in the body, or is where a policy
// computed it, and so absent once that is erased.
func erasable(name string) bool {
	return slices.Contains(BodyPaths(), "/"+name)
}

// schemaOf is the schema of what encoding/json makes of a type.
func schemaOf(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	case t == reflect.TypeFor[[]byte]():
		return object{"type": "string", "contentEncoding": "base64"}
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Struct:
		return schemaOfStruct(t)
	}
	return object{"type": "integer"}
}

// schemaOfStruct is the schema of a closed object.
func schemaOfStruct(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		properties[name] = schemaOf(f.Type)
		if !strings.Contains(options, "omitempty") {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}
