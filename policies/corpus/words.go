package corpus

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// kindOf is the JSON Schema type that begins with a token.
func kindOf(t json.Token) string {
	switch t.(type) {
	case json.Delim:
		if t == json.Delim('{') {
			return "object"
		}
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case nil:
		return "null"
	}
	return "number"
}

// kinds are the types a schema allows.
func kinds(s node) []string {
	if one, ok := s["type"].(string); ok {
		return []string{one}
	}
	var out []string
	several, _ := s["type"].([]any)
	for _, v := range several {
		if name, ok := v.(string); ok {
			out = append(out, name)
		}
	}
	return out
}

// wanted names the types a schema allows.
func wanted(s node) string {
	var out []string
	for _, k := range kinds(s) {
		out = append(out, article(k))
	}
	return strings.Join(out, " or ")
}

func article(kind string) string {
	switch kind {
	case "null":
		return kind
	case "object", "array":
		return "an " + kind
	}
	return "a " + kind
}

func names(members node) []string { return slices.Sorted(maps.Keys(members)) }

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// place names where something stands.
func place(at string) string {
	if at == "" {
		return "the file"
	}
	return at
}
