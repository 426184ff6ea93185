package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Bounds of a difference that is shown: values of one member, and the length
// of one value.
const (
	diffValues = 50
	diffLength = 300
)

// memberDiff is one member of a document that has other values than before.
// The order of a list is no difference.
type memberDiff struct {
	Member  string   `json:"member"`            // dotted name
	Removed []string `json:"removed,omitempty"` // values it had
	Added   []string `json:"added,omitempty"`   // values it has now
}

// diffDocuments compares two documents member by member, in the order of the
// members' names.
func diffDocuments(before, after []byte) []memberDiff {
	was, is := memberValues(before), memberValues(after)
	names := slices.Sorted(maps.Keys(was))
	for n := range is {
		if _, known := was[n]; !known {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	out := []memberDiff{}
	for _, n := range names {
		d := memberDiff{Member: n, Removed: without(was[n], is[n]), Added: without(is[n], was[n])}
		if len(d.Removed)+len(d.Added) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// without returns the values of list that are not in other.
func without(list, other []string) []string {
	var out []string
	for _, v := range list {
		if !slices.Contains(other, v) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// memberValues turns a document into dotted names and their values; a list
// has several. What is no JSON object has the empty name.
func memberValues(raw []byte) map[string][]string {
	out := map[string][]string{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		out[""] = []string{string(raw)}
		return out
	}
	addValues(out, "", v)
	return out
}

func addValues(out map[string][]string, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 && name != "" {
			out[name] = []string{"{}"}
		}
		for k, e := range v {
			full := k
			if name != "" {
				full = name + "." + k
			}
			addValues(out, full, e)
		}
	case []any:
		out[name] = []string{}
		for _, e := range v {
			out[name] = append(out[name], short(e))
		}
	default:
		out[name] = []string{short(v)}
	}
}

// differences writes what changed between two documents.
func (p *page) differences(level int, before, after []byte) {
	list := diffDocuments(before, after)
	if len(list) == 0 {
		p.line(level, "every member has the values it had")
	}
	for _, d := range list {
		p.line(level, "%s", cut(d.Member))
		p.values(level+1, "-", d.Removed)
		p.values(level+1, "+", d.Added)
	}
}

// values writes values with a sign before them.
func (p *page) values(level int, sign string, list []string) {
	for i, v := range list {
		if i == diffValues {
			p.line(level, "%s and %d more", sign, len(list)-i)
			return
		}
		p.line(level, "%s %s", sign, cut(v))
	}
}

// cut bounds the length of a value that a stranger chose.
func cut(s string) string {
	runes := []rune(s)
	if len(runes) <= diffLength {
		return s
	}
	return string(runes[:diffLength]) + " …"
}
