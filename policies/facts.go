package policies

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// FactsFile is the file at the root of a policy directory that names the facts:
// a JSON Schema of a small subset. It is one object with properties; each
// property has a type (string, boolean, integer, number, or array with items of
// type string) and a default of that type, and may have description, enum,
// minimum, maximum and format (date-time, date). Anything else in it is a load
// error, so that no rule of it is believed to hold that does not.
const FactsFile = "facts.schema.json"

// maxFacts bounds the facts as JSON, in bytes: they are part of every record.
const maxFacts = 8 << 10

// Fact is one fact of a Set.
type Fact struct {
	Name        string // input.facts.NAME
	Type        string // string, boolean, integer, number or array
	Description string
	Default     any      // of Type: string, bool, json.Number or []any of strings
	Value       any      // the one that decisions read, of Type
	Format      string   // of a string: date-time, date, or empty
	Enum        []any    // of Type, for an array of its items; nil: any
	Minimum     *float64 // of a number; nil: none
	Maximum     *float64
}

// factsSchema is what FactsFile names. The zero value names nothing.
type factsSchema struct {
	facts map[string]*Fact // Value is nil
}

// names lists the facts, sorted.
func (f factsSchema) names() []string { return slices.Sorted(maps.Keys(f.facts)) }

// schema is the JSON Schema of input.facts, closed.
func (f factsSchema) schema() map[string]any {
	properties := map[string]any{}
	for name, fact := range f.facts {
		properties[name] = fact.schema()
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
}

// schema is the JSON Schema of one fact.
func (f *Fact) schema() map[string]any {
	out := map[string]any{"type": f.Type, "default": f.Default}
	limits := out
	if f.Type == "array" {
		limits = map[string]any{"type": "string"}
		out["items"] = limits
	}
	if f.Enum != nil {
		limits["enum"] = f.Enum
	}
	if f.Description != "" {
		out["description"] = f.Description
	}
	if f.Format != "" {
		out["format"] = f.Format
	}
	if f.Minimum != nil {
		out["minimum"] = *f.Minimum
	}
	if f.Maximum != nil {
		out["maximum"] = *f.Maximum
	}
	return out
}

// FactsSchema returns the JSON Schema of the file that gives facts their
// values, for editors. It names nothing where the directory has no FactsFile.
func (s *Set) FactsSchema() map[string]any {
	out := s.schema.schema()
	out["$schema"] = "http://json-schema.org/draft-07/schema#"
	return out
}

// Facts returns the value of every fact that the directory names, defaults
// filled in, as input.facts has them. It is shared and for reading only; it is
// empty without a FactsFile.
func (s *Set) Facts() map[string]any { return s.facts }

// ListFacts returns every fact with its value, by name.
func (s *Set) ListFacts() []Fact {
	out := make([]Fact, 0, len(s.facts))
	for _, name := range s.schema.names() {
		f := *s.schema.facts[name]
		f.Value = s.facts[name]
		out = append(out, f)
	}
	return out
}

// WithFacts returns a Set of the same revision, with the same compiled
// policies, in which the facts have these values and all others their default.
// The values are checked: an unknown name, a wrong type and what the schema
// does not allow are errors, all of them named.
func (s *Set) WithFacts(values map[string]any) (*Set, error) {
	facts, err := s.schema.complete(values)
	if err != nil {
		return nil, err
	}
	out := *s
	out.facts = facts
	return &out, nil
}

// readFacts reads what the facts are, and their values.
func (s *Set) readFacts(units []*unit, values map[string]any, out *report) {
	for _, u := range units {
		if f := u.source.readFactsSchema(out); f.facts != nil {
			s.schema = f
		}
	}
	for _, u := range units {
		u.facts = s.schema
	}
	if out.failed() {
		return
	}
	var err error
	if s.facts, err = s.schema.complete(values); err != nil {
		out.fail(FactsFile, 0, "facts_invalid", "set the facts as "+FactsFile+" has them, or change it", "the facts that are set do not fit %s: %v", FactsFile, err)
	}
}

// complete checks values and adds the defaults of what they leave out.
func (f factsSchema) complete(values map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(f.facts))
	var faults FactFaults
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fact := f.facts[name]
		if fact == nil {
			faults = append(faults, FactFault{name, f.unknown(name)})
			continue
		}
		v, err := fact.check(values[name])
		if err != nil {
			faults = append(faults, FactFault{name, err})
		}
		out[name] = v
	}
	if faults != nil {
		return nil, faults
	}
	for name, fact := range f.facts {
		if _, ok := out[name]; !ok {
			out[name] = fact.Default
		}
	}
	if b, err := json.Marshal(out); err != nil || len(b) > maxFacts {
		return nil, fmt.Errorf("the facts take %d bytes as JSON, at most %d; long lists belong in a data file", len(b), maxFacts)
	}
	return out, nil
}

// unknown says that there is no such fact.
func (f factsSchema) unknown(name string) error {
	if len(f.facts) == 0 {
		return fmt.Errorf("there is no such fact: the policies have no %s, or it names none; it names each with its type and default", FactsFile)
	}
	if r := didYouMean(name, f.names()); r != "" {
		return fmt.Errorf("there is no such fact in %s; %s", FactsFile, r)
	}
	return fmt.Errorf("there is no such fact in %s; it names %s", FactsFile, clip(join(f.names()), 400))
}
