package decisionlog

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// What a policy file spells out says nothing of a person, and is kept with the
// revision for as long as the record: it stands in the header. What a policy
// computes, from a claim, an address or the words of a stranger, may say
// anything. A record points at it in Computed, and Seal puts it into the body,
// where masking and erasing reach it; whoever reads the record finds it in its
// place again.

// Pointers to what is computed as a whole.
const (
	atSettings  = "/settings"
	atEffective = "/effective"
)

// computable are the members of which something may be computed.
var computable = []string{"effective", "phases", "settings"}

// NoteComputed fills Computed when the other members are what they are to be:
// texts of denials and warnings as [Denial.Computed] has them, and with terms,
// settings and effective.
func (r *Record) NoteComputed(terms bool) {
	r.Computed = nil
	for i, p := range r.Phases {
		at := "/phases/" + strconv.Itoa(i)
		r.Computed = append(appendComputed(r.Computed, at+"/denials/", p.Denials), appendComputed(nil, at+"/warnings/", p.Warnings)...)
	}
	if terms && len(r.Settings) > 0 {
		r.Computed = append(r.Computed, atSettings)
	}
	if terms && len(r.Effective) > 0 {
		r.Computed = append(r.Computed, atEffective)
	}
	slices.Sort(r.Computed)
}

func appendComputed(to []string, at string, list []Denial) []string {
	for i, d := range list {
		for _, member := range d.Computed {
			to = append(to, at+strconv.Itoa(i)+"/"+member)
		}
	}
	return to
}

// text is a text that a policy may compute, by the pointer to it; nil where the
// pointer leads to none.
func (r *Record) text(pointer string) *string {
	names := strings.Split(pointer, "/")
	if len(names) != 6 || names[1] != "phases" {
		return nil
	}
	i, ok := index(names[2], len(r.Phases))
	if !ok {
		return nil
	}
	list := r.Phases[i].Denials
	if names[3] == "warnings" {
		list = r.Phases[i].Warnings
	}
	if i, ok = index(names[4], len(list)); !ok || names[3] != "denials" && names[3] != "warnings" {
		return nil
	}
	return list[i].text(names[5])
}

// text is one of the texts of a denial that its author writes; nil: there is
// none of that name.
func (d *Denial) text(member string) *string {
	switch member {
	case "code":
		return &d.Code
	case "message":
		return &d.Message
	case "user_message":
		return &d.UserMessage
	case "remedy":
		return &d.Remedy
	}
	return nil
}

// own makes the texts of r its own, so that changing them changes no other
// record.
func (r *Record) own() {
	r.Phases = slices.Clone(r.Phases)
	for i := range r.Phases {
		p := &r.Phases[i]
		p.Denials, p.Warnings = slices.Clone(p.Denials), slices.Clone(p.Warnings)
	}
}

// part returns what the header holds of r, and the body.
func (r Record) part() (Record, body) {
	b := body{Detail: r.Detail, Source: r.Source, Input: r.Input, Result: r.Result}
	r.Detail, r.Source, r.Input, r.Result = "", "", nil, nil
	if len(r.Computed) == 0 {
		return r, b
	}
	r.own()
	b.Texts = map[string]string{}
	for _, at := range r.Computed {
		switch text := r.text(at); {
		case at == atSettings:
			b.Settings, r.Settings = r.Settings, nil
		case at == atEffective:
			b.Effective, r.Effective = r.Effective, nil
		case text != nil && *text != "":
			b.Texts[at], *text = *text, ""
		}
	}
	return r, b
}

// rejoin puts a body into the header that it belongs to.
func (r *Record) rejoin(b body) {
	r.Detail, r.Source, r.Input, r.Result = b.Detail, b.Source, b.Input, b.Result
	for at, text := range b.Texts {
		if to := r.text(at); to != nil {
			*to = text
		}
	}
	if b.Settings != nil {
		r.Settings = b.Settings
	}
	if b.Effective != nil {
		r.Effective = b.Effective
	}
}

// tree adds to out what is computed, as masking sees it: lists are objects by
// index, and have what is in the body alone.
func (b body) tree(out map[string]any) error {
	for at, text := range b.Texts {
		names := strings.Split(at[1:], "/")
		node := out
		for _, name := range names[:len(names)-1] {
			if node[name] == nil {
				node[name] = map[string]any{}
			}
			node = node[name].(map[string]any)
		}
		node[names[len(names)-1]] = text
	}
	for at, raw := range map[string]json.RawMessage{atSettings: b.Settings, atEffective: b.Effective} {
		if len(raw) == 0 {
			continue
		}
		v, err := exact(raw)
		if err != nil {
			return err
		}
		out[at[1:]] = v
	}
	return nil
}

// setTexts gives every computed text the value that v, the member phases as
// masking left it, has in its place.
func (r *Record) setTexts(v any) error {
	r.own()
	for _, at := range r.Computed {
		to := r.text(at)
		if to == nil {
			continue
		}
		left := v
		for _, name := range strings.Split(at[1:], "/")[1:] {
			if _, replaced := left.(json.RawMessage); replaced {
				return ErrMaskValue // the place of several texts
			}
			node, _ := left.(map[string]any)
			left = node[name]
		}
		text, err := textOf(left)
		if err != nil {
			return err
		}
		*to = text
	}
	return nil
}

// textOf is the text that masking left of one; of nothing it is empty.
func textOf(v any) (text string, err error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.RawMessage:
		if json.Unmarshal(v, &text) == nil && v[0] == '"' {
			return text, nil
		}
	}
	return "", ErrMaskValue
}

// Computes reports whether a member of the record, or something below it, was
// computed by a policy, so that it stands in the body.
func (r Record) Computes(pointer string) bool {
	return slices.ContainsFunc(r.Computed, func(at string) bool { return at == pointer || strings.HasPrefix(at, pointer+"/") })
}

// Wordless returns denials without the texts that their authors write, to
// compare what is left where masking took some.
func Wordless(list []Denial) []Denial {
	out := slices.Clone(list)
	for i := range out {
		for _, member := range []string{"code", "message", "user_message", "remedy"} {
			*out[i].text(member) = ""
		}
	}
	return out
}

// computedRoots points at the members of which something may be computed.
func computedRoots() []string {
	out := make([]string, len(computable))
	for i, name := range computable {
		out[i] = "/" + name
	}
	return out
}
