package policies

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"guestlist/broker"
)

// draft is the JSON Schema that editors and OPA both understand.
const draft = "http://json-schema.org/draft-07/schema#"

// SchemaNames are the schemas that Schema has.
func SchemaNames() []string { return []string{"input", "settings", "list", "facts", maskRule} }

// Schema returns a JSON Schema (draft 7) of what policies are made of: input as
// it is in a phase, or in all of them for an empty one; settings as a policy
// writes them; a list, which is the data.json that client_ids_from names; the
// FactsFile; mask, which is a decision record as admission.mask reads it. The tables that loading and deciding run on say what is in them.
// A schema says less than Load does where JSON Schema cannot say it.
func Schema(name string, phase broker.Phase) (map[string]any, error) {
	var out map[string]any
	switch name {
	case "input":
		if phase != "" && rank(phase) < 0 {
			return nil, fmt.Errorf("phase %.40q: want one of url, document, user, refresh", phase)
		}
		out = publishedInput(phase)
	case "settings":
		out = settingsSchema(nil)
		out["description"] = "Terms on which a client is admitted. A policy names some; admission.defaults and the strict values complete them."
	case "list":
		out = listSchema()
	case "facts":
		out = factsFileSchema()
	case maskRule:
		out = publishedRecord()
	default:
		return nil, fmt.Errorf("no schema %.40q; there are %s", name, strings.Join(SchemaNames(), ", "))
	}
	if phase != "" && name != "input" {
		return nil, fmt.Errorf("schema %s has no phases: --phase is for input", name)
	}
	out["$schema"], out["title"] = draft, "guestlist "+name
	out["$id"] = "https://guestlist.invalid/" + broker.Contract + "/" + name + ".schema.json"
	if phase != "" {
		out["$id"] = "https://guestlist.invalid/" + broker.Contract + "/" + name + "." + string(phase) + ".schema.json"
	}
	return out, nil
}

// settingsSchema nests the members of the table, but for those left out.
func settingsSchema(without []string) map[string]any {
	root := closed()
	strict := broker.StrictSettings()
	for _, m := range members {
		if slices.Contains(without, m.path) {
			continue
		}
		at := root
		steps := strings.Split(m.path, ".")
		for _, step := range steps[:len(steps)-1] {
			props := at["properties"].(map[string]any)
			if props[step] == nil {
				props[step] = closed()
			}
			at = props[step].(map[string]any)
		}
		s := maps.Clone(m.schema)
		about, _ := s["description"].(string)
		if value, err := json.Marshal(m.value(&strict)); err == nil {
			about = strings.TrimSpace(about + " Strict value: " + string(value) + ".")
		}
		s["title"], s["description"] = m.path, about
		at["properties"].(map[string]any)[steps[len(steps)-1]] = s
	}
	return root
}

// closed is an object that has no other members.
func closed() map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
}

// listSchema is a list: rows by host.
func listSchema() map[string]any {
	row := closed()
	row["required"] = []any{"path"}
	settings := settingsSchema([]string{"claims", "device"})
	settings["description"] = "Narrows the settings of the policy for this row, never widens them."
	texts := map[string]map[string]any{
		"path":    {"type": "string", "pattern": "^/", "description": "Path of the document. * stands for one segment, ** at the end for one or more."},
		"expires": {"type": "string", "pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$`, "description": "The row's end: a date (its first moment, UTC) or a moment of RFC 3339."},
		"owner":   {"type": "string", "description": "Who answers for the row."},
		"ticket":  {"type": "string", "description": "Where it was agreed."},
	}
	for _, name := range rowMembers {
		row["properties"].(map[string]any)[name] = settings
		if t, ok := texts[name]; ok {
			row["properties"].(map[string]any)[name] = t
		}
	}
	return map[string]any{"type": "object", "description": "Rows by host; a host may begin with *. and have a port.",
		"propertyNames":        map[string]any{"pattern": `^(\*\.)?[a-z0-9.-]+(:[0-9]+)?$`},
		"additionalProperties": map[string]any{"type": "array", "items": row}}
}

// factsFileSchema is the form of a FactsFile.
func factsFileSchema() map[string]any {
	words := map[string]map[string]any{
		"type": enumSchema(factTypes), "format": enumSchema(factFormats), "description": {"type": "string"}, "default": {},
		"enum": {"type": "array"}, "minimum": {"type": "number"}, "maximum": {"type": "number"}, "items": {"type": "object"},
	}
	fact := closed()
	fact["required"] = []any{"type", "default"}
	for _, name := range factMembers {
		fact["properties"].(map[string]any)[name] = words[name]
	}
	out := closed()
	out["description"], out["required"] = "The facts that policies read as input.facts, each with its type and the value it has where nobody gives one.", []any{"type", "properties"}
	for _, name := range factsMembers {
		out["properties"].(map[string]any)[name] = map[string]any{"type": "string"}
	}
	out["properties"].(map[string]any)["type"] = enumSchema([]string{"object"})
	out["properties"].(map[string]any)["additionalProperties"] = map[string]any{"type": "boolean"}
	out["properties"].(map[string]any)["properties"] = map[string]any{"type": "object",
		"propertyNames": map[string]any{"pattern": factName.String()}, "additionalProperties": fact}
	return out
}

// inputAbout says what the members of input are.
var inputAbout = map[string]string{
	"contract": "The contract that policies are written to.", "phase": "The step of admission that is asked.",
	"registration": "How the client came to be known.", "issuer": "This server's issuer identifier.",
	"time": "The present moment, UTC.", "clock": "Local time in the server's configured zone.",
	"client_id": "The client identifier as it was sent.", "facts": "Operator data that facts.schema.json names.",
	"client": "The client identifier URL taken apart.", "request": "The authorization request; frozen in the grant after consent.",
	"row": "The list row that matched, or null.", "published": "The document as published. From phase document on.",
	"redirects": "Every registered redirect URI that is kept. From phase document on.", "provenance": "Where the document came from. From phase document on.",
	"effective": "What will be granted after defaults and negotiation; for denials. From phase document on.",
	"user":      "The person who signed in. From phase user on.", "grant": "The grant a refresh belongs to. Phase refresh.",
	"now": "The present call of a refresh; for deny_refresh.",
}

// publishedInput is the schema that policies are checked against, with what
// people want to know, narrowed to a phase where one is named.
func publishedInput(phase broker.Phase) map[string]any {
	out := inputSchema(factsSchema{})
	props := out["properties"].(map[string]any)
	props["facts"] = map[string]any{"type": "object"}
	props["row"].(map[string]any)["type"] = []any{"object", "null"}
	narrow(out, inputEnums)
	for name, about := range inputAbout {
		props[name].(map[string]any)["description"] = about
	}
	all := phaseWords()
	later := broker.MembersBefore(broker.PhaseURL) // optional where no phase is named
	if phase != "" {
		all, later = []string{string(phase)}, broker.MembersBefore(phase)
		for _, name := range later {
			delete(props, name)
		}
	}
	maps.Copy(props["phase"].(map[string]any), enumSchema(all))
	out["required"] = slices.DeleteFunc(out["required"].([]any), func(v any) bool { return slices.Contains(later, v.(string)) })
	return out
}

// narrow writes the values that members of a schema have, by their path.
func narrow(schema map[string]any, enums map[string][]string) {
	for path, words := range enums {
		at := schema
		for step := range strings.SplitSeq(path, ".") {
			at = at["properties"].(map[string]any)[step].(map[string]any)
		}
		maps.Copy(at, enumSchema(words))
	}
}
