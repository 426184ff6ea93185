package policies

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FactFault is what is wrong with the value of one fact.
type FactFault struct {
	Name string
	Err  error
}

// FactFaults are all that is wrong with the values of facts, by name.
type FactFaults []FactFault

// Error names every fault, one a line.
func (f FactFaults) Error() string {
	lines := make([]string, 0, len(f))
	for _, one := range f {
		lines = append(lines, clip(one.Name, 80)+": "+one.Err.Error())
	}
	return strings.Join(lines, "\n")
}

// check returns v as the fact has it: numbers in their one shortest form, so
// that equal facts have equal digests.
func (f *Fact) check(v any) (any, error) {
	v, err := plain(v)
	if err != nil {
		return nil, err
	}
	list, isList := v.([]any)
	switch {
	case f.Type != "array":
		if v, err = f.scalar(v); err != nil {
			return nil, err
		}
		return v, f.allow(v)
	case !isList:
		return nil, wanted("a list of strings", v)
	}
	out := make([]any, 0, len(list))
	for i, item := range list {
		if _, ok := item.(string); !ok {
			return nil, fmt.Errorf("entry %d: %w", i+1, wanted("a string", item))
		}
		if err := f.allow(item); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		out = append(out, item)
	}
	return out, nil
}

// scalar holds v to the type, and to the bounds of a number and the format of a
// string.
func (f *Fact) scalar(v any) (any, error) {
	switch f.Type {
	case "boolean":
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, wanted("true or false", v)
	case "string":
		s, ok := v.(string)
		if !ok {
			return nil, wanted("a string", v)
		}
		return s, f.formatted(s)
	}
	n, err := f.number(v)
	if err != nil {
		return nil, err
	}
	return n, f.within(n)
}

// number is v in its shortest form.
func (f *Fact) number(v any) (json.Number, error) {
	written, ok := v.(json.Number)
	x, err := written.Float64()
	switch {
	case !ok || err != nil || math.IsInf(x, 0):
		if f.Type == "integer" {
			return "", wanted("a whole number", v)
		}
		return "", wanted("a number", v)
	case f.Type == "integer" && (x != math.Trunc(x) || math.Abs(x) > 1<<53):
		return "", wanted("a whole number of at most 2^53", v)
	}
	if x == 0 {
		x = 0 // never -0
	}
	if f.Type == "integer" {
		return json.Number(strconv.FormatInt(int64(x), 10)), nil
	}
	b, err := json.Marshal(x)
	return json.Number(b), err
}

// within holds a number to minimum and maximum.
func (f *Fact) within(n json.Number) error {
	x, err := n.Float64()
	switch {
	case err != nil:
		return err
	case f.Minimum != nil && x < *f.Minimum:
		return fmt.Errorf("want at least %s, have %s", shortest(*f.Minimum), n)
	case f.Maximum != nil && x > *f.Maximum:
		return fmt.Errorf("want at most %s, have %s", shortest(*f.Maximum), n)
	}
	return nil
}

// shortest writes a number for people.
func shortest(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// formatted holds a string to its format.
func (f *Fact) formatted(s string) error {
	layout, example := "", ""
	switch f.Format {
	case "date-time":
		layout, example = time.RFC3339, "a moment of RFC 3339 such as 2027-03-31T18:00:00Z"
	case "date":
		layout, example = time.DateOnly, "a date such as 2027-03-31"
	default:
		return nil
	}
	if _, err := time.Parse(layout, s); err != nil {
		return wanted(example, s)
	}
	return nil
}

// allow holds a value, or an item of a list, to enum.
func (f *Fact) allow(v any) error {
	if f.Enum == nil || slices.Contains(f.Enum, v) {
		return nil
	}
	have := make([]string, 0, len(f.Enum))
	for _, e := range f.Enum {
		have = append(have, fmt.Sprint(e))
	}
	return wanted("one of "+clip(join(have), 400), v)
}

// join writes names for people.
func join(names []string) string { return strings.Join(names, ", ") }

// ParseFact reads the value of a fact as a person writes it: true or false, a
// number, text as it is, a list as a,b,c where nothing is the empty list. It
// refuses a name that the schema does not have.
func (s *Set) ParseFact(name, text string) (any, error) {
	f := s.schema.facts[name]
	if f == nil {
		return nil, s.schema.unknown(name)
	}
	var v any = text
	switch f.Type {
	case "boolean":
		if text == "true" || text == "false" {
			v = text == "true"
		}
	case "integer", "number":
		if err := json.Unmarshal([]byte(text), new(float64)); err == nil {
			v = json.Number(text)
		}
	case "array":
		items := []any{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		if len(items) == 0 && text != "" {
			return nil, errors.New("want a list such as a,b,c; nothing at all is the empty list")
		}
		v = items
	}
	return f.check(v)
}
