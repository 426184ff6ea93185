package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// terms writes on what terms the client may act and what was cut.
func (p *page) terms(r logged) {
	p.settings(r)
	if len(r.Cut) > 0 {
		p.line(1, "cut")
	}
	for _, c := range r.Cut {
		why := c.Value + "  by " + c.By
		if c.Why != "" {
			why += ": " + c.Why
		}
		p.field(2, c.Member, why)
	}
	if len(r.Effective) > 0 {
		p.line(1, "effective")
		p.members(2, flatten(r.Effective))
	}
}

// members writes named values in the order of their names, in columns.
func (p *page) members(level int, values map[string]string) {
	names := slices.Sorted(maps.Keys(values))
	width := 0
	for _, n := range names {
		width = max(width, len(n))
	}
	for _, n := range names {
		p.line(level, "%-*s  %s", width, n, values[n])
	}
}

// flatten turns a JSON object into dotted names and short values. What is not
// an object has the empty name.
func flatten(raw json.RawMessage) map[string]string {
	out := map[string]string{}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		out[""] = string(raw)
		return out
	}
	flattenInto(out, "", v)
	return out
}

func flattenInto(out map[string]string, name string, v any) {
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 {
		out[name] = short(v)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		full := k
		if name != "" {
			full = name + "." + k
		}
		flattenInto(out, full, m[k])
	}
}

// short writes a JSON value for people.
func short(v any) string {
	switch v := v.(type) {
	case nil:
		return "any"
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return v.String()
	case []any:
		if len(v) == 0 {
			return "none"
		}
		texts := make([]string, len(v))
		for i, e := range v {
			texts[i] = short(e)
		}
		return strings.Join(texts, ", ")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// raw writes a JSON value as it is, indented.
func (p *page) raw(name string, value json.RawMessage) {
	if len(value) == 0 {
		return
	}
	var b bytes.Buffer
	if err := json.Indent(&b, value, "", "  "); err != nil {
		b.Reset()
		b.Write(value)
	}
	p.line(1, "%s", name)
	for text := range strings.Lines(b.String()) {
		p.line(2, "%s", strings.TrimSuffix(text, "\n"))
	}
}
