package policies

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// factName is what a fact may be called: it is written input.facts.NAME.
var factName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// Members that a FactsFile may have, of the whole and of one fact.
var (
	factsMembers = []string{"$schema", "title", "description", "type", "properties", "additionalProperties"}
	factMembers  = []string{"type", "description", "default", "enum", "format", "minimum", "maximum", "items"}
	factTypes    = []string{"string", "boolean", "integer", "number", "array"}
	factFormats  = []string{"date-time", "date"}
)

// factsReader reads one FactsFile and reports on it.
type factsReader struct {
	file string
	out  *report
}

func (r factsReader) fail(n *jsonNode, remedy, format string, args ...any) {
	r.out.fail(r.file, n.line, "facts_schema_invalid", remedy, format, args...)
}

// readFactsSchema reads the FactsFile of a root, or none.
func (s *source) readFactsSchema(out *report) factsSchema {
	for _, f := range s.files {
		if f.path != FactsFile {
			continue
		}
		if s.label != "" {
			out.fail(s.name(f), 0, "facts_schema_place", "name its facts in "+FactsFile+" of the policies", "guardrails read the facts of the policies")
			continue
		}
		n, line, err := readJSON(f.body)
		if err != nil {
			out.fail(s.name(f), line, "facts_schema_invalid", textRemedy(f.body), "%s", textTrouble(f.body, err))
			continue
		}
		return factsReader{s.name(f), out}.all(n)
	}
	return factsSchema{}
}

// all reads the whole file.
func (r factsReader) all(n *jsonNode) factsSchema {
	f := factsSchema{facts: map[string]*Fact{}}
	if !n.isObject() {
		r.fail(n, `write {"type": "object", "properties": {…}}`, "a facts schema is an object")
		return f
	}
	r.known(n, "the facts schema", factsMembers)
	r.text(n, "$schema", "title", "description")
	if t := n.members["type"]; t == nil || t.scalar != "object" {
		r.fail(orNode(t, n), `write "type": "object"`, "a facts schema is of type object")
	}
	if a := n.members["additionalProperties"]; a != nil && a.scalar != false {
		r.fail(a, "leave it out", "additionalProperties is false: a fact without a name and a default might be absent, and a denial that reads it would not hold")
	}
	properties := n.members["properties"]
	if properties == nil || !properties.isObject() {
		r.fail(orNode(properties, n), `write "properties": {"NAME": {"type": …, "default": …}}`, "a facts schema has an object of properties")
		return f
	}
	for _, name := range properties.names {
		if !factName.MatchString(name) {
			r.fail(properties.members[name], "use a-z, 0-9 and _, beginning with a letter", "%q is no name of a fact", clip(name, 80))
			continue
		}
		if fact := r.fact(name, properties.members[name]); fact != nil {
			f.facts[name] = fact
		}
	}
	if _, err := f.complete(nil); err != nil {
		r.fail(properties, "", "%v", err)
	}
	return f
}

// orNode is n, or the other where n is absent.
func orNode(n, other *jsonNode) *jsonNode {
	if n == nil {
		return other
	}
	return n
}

// known refuses members that nobody would hold to.
func (r factsReader) known(n *jsonNode, what string, names []string) {
	for _, name := range n.names {
		if !slices.Contains(names, name) {
			remedy := didYouMean(name, names)
			if remedy == "" {
				remedy = "it may have " + join(names)
			}
			r.fail(n.members[name], remedy, "%s has a member %s that facts do not have", what, clip(name, 80))
		}
	}
}

// text refuses members that are there and no text.
func (r factsReader) text(n *jsonNode, names ...string) {
	for _, name := range names {
		if m := n.members[name]; m != nil {
			if _, ok := m.scalar.(string); !ok {
				r.fail(m, "", "%s: %v", name, wanted("a string", m.value()))
			}
		}
	}
}

// fact reads one property; nil where it cannot be used.
func (r factsReader) fact(name string, n *jsonNode) *Fact {
	if !n.isObject() {
		r.fail(n, `write {"type": …, "default": …}`, "fact %s is no object", name)
		return nil
	}
	r.known(n, "fact "+name, factMembers)
	r.text(n, "description", "format")
	t := n.members["type"]
	if t == nil || !isOneOf(t.scalar, factTypes) {
		r.fail(orNode(t, n), "write one of "+join(factTypes), "fact %s has no type that facts have", name)
		return nil
	}
	f := &Fact{Name: name, Type: t.scalar.(string)}
	if d := n.members["description"]; d != nil {
		f.Description, _ = d.scalar.(string)
	}
	if !r.limits(f, n) {
		return nil
	}
	d := n.members["default"]
	if d == nil {
		r.fail(n, "write the value that holds until somebody sets another", "fact %s has no default, so that it might be absent, and a denial that reads it would not hold", name)
		return nil
	}
	v, err := f.check(d.value())
	if err != nil {
		r.fail(d, "", "fact %s: default: %v", name, err)
		return nil
	}
	f.Default = v
	return f
}

// limits reads what a fact of its type may say about its values, and refuses
// what belongs to another type.
func (r factsReader) limits(f *Fact, n *jsonNode) bool {
	before := len(r.out.list)
	allowed := map[string]string{"enum": "string integer number", "format": "string", "minimum": "integer number", "maximum": "integer number", "items": "array"}
	for _, name := range n.names {
		types, limited := allowed[name]
		if limited && !slices.Contains(strings.Fields(types), f.Type) {
			r.fail(n.members[name], "leave it out", "fact %s: %s means nothing for type %s", f.Name, name, f.Type)
		}
	}
	holder := n
	if f.Type == "array" {
		holder = r.items(f, n)
	}
	if m := n.members["format"]; m != nil {
		if !isOneOf(m.scalar, factFormats) {
			r.fail(m, "write one of "+join(factFormats), "fact %s: the format is not one that facts have", f.Name)
		}
		f.Format, _ = m.scalar.(string)
	}
	f.Minimum, f.Maximum = r.bound(f, n.members["minimum"]), r.bound(f, n.members["maximum"])
	if f.Minimum != nil && f.Maximum != nil && *f.Minimum > *f.Maximum {
		r.fail(n.members["minimum"], "", "fact %s: the minimum is larger than the maximum", f.Name)
	}
	if len(r.out.list) == before {
		r.enum(f, holder.members["enum"])
	}
	return len(r.out.list) == before
}

// items reads what the entries of a list are: strings.
func (r factsReader) items(f *Fact, n *jsonNode) *jsonNode {
	items := n.members["items"]
	if items == nil || !items.isObject() || items.members["type"] == nil || items.members["type"].scalar != "string" {
		r.fail(orNode(items, n), `write "items": {"type": "string"}`, "fact %s: a list is of strings", f.Name)
		return n
	}
	r.known(items, "the items of fact "+f.Name, []string{"type", "enum"})
	return items
}

// bound reads minimum or maximum.
func (r factsReader) bound(f *Fact, n *jsonNode) *float64 {
	if n == nil {
		return nil
	}
	number, ok := n.scalar.(json.Number)
	x, err := number.Float64()
	if !ok || err != nil {
		r.fail(n, "", "fact %s: %v", f.Name, wanted("a number", n.value()))
		return nil
	}
	return &x
}

// enum reads the values that there are.
func (r factsReader) enum(f *Fact, n *jsonNode) {
	if n == nil {
		return
	}
	if !n.isArray() || len(n.items) == 0 {
		r.fail(n, "write [\"a\", \"b\"]", "fact %s: enum is a list of values", f.Name)
		return
	}
	var values []any
	for _, item := range n.items {
		one := Fact{Type: f.Type, Format: f.Format, Minimum: f.Minimum, Maximum: f.Maximum}
		if f.Type == "array" {
			one.Type = "string"
		}
		v, err := one.check(item.value())
		if err != nil {
			r.fail(item, "", "fact %s: enum: %v", f.Name, err)
			continue
		}
		if slices.Contains(values, v) {
			r.fail(item, "", "fact %s: enum has %v twice", f.Name, v)
		}
		values = append(values, v)
	}
	f.Enum = values
}

// isOneOf reports whether v is one of the names.
func isOneOf(v any, names []string) bool {
	s, ok := v.(string)
	return ok && slices.Contains(names, s)
}
