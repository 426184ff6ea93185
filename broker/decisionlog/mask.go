package decisionlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Edit is one thing that masking does to a record.
type Edit struct {
	// Path is a JSON pointer (RFC 6901) into the JSON of the record as it was
	// before any masking, array indices included. Its first name is a member of
	// the body. What it does not lead to is left alone.
	Path string
	// Value takes the place of what Path leads to, as json.Marshal writes it; nil
	// removes that.
	Value json.RawMessage
}

// Bounds of the edits of one record: what they name and put in stands in the
// log for good.
const (
	MaxEdits    = 256      // edits
	MaxEditText = 16 << 10 // bytes of their paths and values together
)

// Why edits were refused.
var (
	ErrMaskPath  = errors.New("a path does not lead into the body of the record") // or is no JSON pointer
	ErrMaskValue = errors.New("detail, source and the texts of denials are replaced by text only")
	ErrMaskSize  = errors.New("more edits than one record takes")
	ErrMaskBody  = errors.New("the body is no JSON")
)

// BodyPaths points at the members of the body, which masking may change, and at
// those of which something may be computed, and then stands there too.
func BodyPaths() []string {
	out := append(personalPaths(), computedRoots()...)
	slices.Sort(out)
	return out
}

// personalPaths points at the members of the body, sorted.
func personalPaths() []string {
	var out []string
	for _, m := range Members() {
		if m.Personal {
			out = append(out, "/"+m.Name)
		}
	}
	slices.Sort(out)
	return out
}

// CheckPath returns the names of a JSON pointer that leads into the body, or
// ErrMaskPath.
func CheckPath(path string) ([]string, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, ErrMaskPath
	}
	names := strings.Split(path[1:], "/")
	for i, name := range names {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(name), "~") {
			return nil, ErrMaskPath
		}
		names[i] = strings.NewReplacer("~0", "~", "~1", "/").Replace(name)
	}
	if !slices.Contains(BodyPaths(), "/"+names[0]) {
		return nil, ErrMaskPath
	}
	return names, nil
}

// Mask returns r with its body edited, and with what was removed and replaced
// listed in its header. The order of edits does not matter, nor does one that
// comes twice. Where two meet that do not agree, at one place or one inside the
// other, the outer place is removed. r itself is not changed. On an error
// nothing was done.
func (r Record) Mask(edits []Edit) (Record, error) {
	size := 0
	for _, e := range edits {
		size += len(e.Path) + len(e.Value)
	}
	if len(edits) > MaxEdits || size > MaxEditText {
		return Record{}, ErrMaskSize
	}
	body, err := r.tree(edits)
	if err != nil {
		return Record{}, err
	}
	todo := newEditing()
	for _, e := range edits {
		names, err := CheckPath(e.Path)
		if err != nil {
			return Record{}, err
		}
		if leads(body, names) {
			todo.add(names, e)
		}
	}
	todo.settle()
	r.Erased, r.Masked = todo.listed()
	changed, _ := todo.apply(body).(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(todo.below)) {
		if err := r.put(name, changed[name]); err != nil {
			return Record{}, err
		}
	}
	return r, nil
}

// Altered reports whether masking took anything of a member of the body, so
// that it is not what it was.
func (r Record) Altered(member string) bool {
	return slices.ContainsFunc(slices.Concat(r.Erased, r.Masked), func(path string) bool {
		return path == "/"+member || strings.HasPrefix(path, "/"+member+"/")
	})
}

// Withhold returns r without its body, for a record that cannot be masked. why
// is kept in the header and so must not say anything of the record.
func (r Record) Withhold(why string) Record {
	r, _ = r.part()
	r.Erased, r.Masked, r.MaskError = append(personalPaths(), r.Computed...), nil, why
	slices.Sort(r.Erased)
	return r
}

// tree is the part of the body that edits name, as JSON has it.
func (r Record) tree(edits []Edit) (map[string]any, error) {
	out := map[string]any{}
	if r.Detail != "" {
		out["detail"] = r.Detail
	}
	if r.Source != "" {
		out["source"] = r.Source
	}
	for name, raw := range map[string]json.RawMessage{"input": r.Input, "result": r.Result} {
		named := slices.ContainsFunc(edits, func(e Edit) bool { return strings.HasPrefix(e.Path, "/"+name) })
		if len(raw) == 0 || !named {
			continue
		}
		v, err := exact(raw)
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	_, b := r.part()
	return out, b.tree(out)
}

// exact decodes a raw member of the body; numbers stay as they are written.
func exact(raw json.RawMessage) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, ErrMaskBody
	}
	return v, nil
}

// put writes one member of the body; nil leaves it out.
func (r *Record) put(name string, v any) error {
	raws := map[string]*json.RawMessage{"input": &r.Input, "result": &r.Result, "settings": &r.Settings, "effective": &r.Effective}
	if to := raws[name]; to != nil {
		if *to = nil; v == nil {
			return nil
		}
		return r.Set(to, v)
	}
	if name == "phases" {
		return r.setTexts(v)
	}
	text, err := textOf(v)
	if err != nil {
		return err
	}
	if name == "detail" {
		r.Detail = text
	} else {
		r.Source = text
	}
	return nil
}

// leads reports whether names lead to something in v.
func leads(v any, names []string) bool {
	for _, name := range names {
		switch at := v.(type) {
		case map[string]any:
			next, ok := at[name]
			if !ok {
				return false
			}
			v = next
		case []any:
			i, ok := index(name, len(at))
			if !ok {
				return false
			}
			v = at[i]
		default:
			return false
		}
	}
	return true
}

// index reads an array index of RFC 6901 section 4, below n.
func index(name string, n int) (int, bool) {
	i, err := strconv.Atoi(name)
	return i, err == nil && i >= 0 && i < n && strconv.Itoa(i) == name
}

// editing is a tree of edits: those at one place, and those below it.
type editing struct {
	at    []Edit
	below map[string]*editing
}

func newEditing() *editing { return &editing{below: map[string]*editing{}} }

func (t *editing) add(names []string, e Edit) {
	for _, name := range names {
		if t.below[name] == nil {
			t.below[name] = newEditing()
		}
		t = t.below[name]
	}
	t.at = append(t.at, e)
}

// settle leaves one edit at a place, and none below it.
func (t *editing) settle() {
	if len(t.at) == 0 {
		for _, next := range t.below {
			next.settle()
		}
		return
	}
	first := t.at[0]
	agreed := len(t.below) == 0 && !slices.ContainsFunc(t.at, func(e Edit) bool {
		return (e.Value == nil) != (first.Value == nil) || !bytes.Equal(e.Value, first.Value)
	})
	if !agreed {
		first.Value = nil
	}
	t.at, t.below = []Edit{first}, nil
}

// listed are the sorted paths of removals and of replacements.
func (t *editing) listed() (erased, masked []string) {
	for _, e := range t.at {
		if e.Value == nil {
			erased = append(erased, e.Path)
		} else {
			masked = append(masked, e.Path)
		}
	}
	for _, next := range t.below {
		e, m := next.listed()
		erased, masked = append(erased, e...), append(masked, m...)
	}
	slices.Sort(erased)
	slices.Sort(masked)
	return erased, masked
}

// removed stands for what is to be left out.
type removed struct{}

// apply returns v edited. Every edit leads somewhere; v is used up.
func (t *editing) apply(v any) any {
	if len(t.at) > 0 {
		if t.at[0].Value == nil {
			return removed{}
		}
		return t.at[0].Value
	}
	switch at := v.(type) {
	case map[string]any:
		for name, next := range t.below {
			if at[name] = next.apply(at[name]); at[name] == (removed{}) {
				delete(at, name)
			}
		}
	case []any:
		for name, next := range t.below {
			i, _ := index(name, len(at))
			at[i] = next.apply(at[i])
		}
		return slices.DeleteFunc(at, func(v any) bool { return v == removed{} })
	}
	return v
}
