package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	yaml "github.com/goccy/go-yaml"
)

// loadData merges the data files of a root; the directory is the data path.
func (s *source) loadData(out *report) map[string]any {
	base := map[string]any{}
	for _, f := range s.files {
		if !isData(f.path) {
			continue
		}
		v, line, err := decodeData(f)
		if err != nil {
			out.fail(s.name(f), line, "data_invalid", textRemedy(f.body), "%s", textTrouble(f.body, err))
			continue
		}
		at := base
		if dir := path.Dir(f.path); dir != "." {
			for part := range strings.SplitSeq(dir, "/") {
				next, ok := at[part].(map[string]any)
				if !ok && at[part] != nil {
					out.fail(s.name(f), 0, "data_conflict", "", "another file already gives data at %q a value", dir)
					at = map[string]any{}
				}
				if !ok {
					next = map[string]any{}
					at[part] = next
				}
				at = next
			}
		}
		if where := mergeData(at, v, ""); where != "" {
			out.fail(s.name(f), 0, "data_conflict", "keep each value in one file", "another file already gives a value at %q", where[1:])
		}
	}
	if _, ok := base["admission"]; ok {
		out.fail(s.label+"data.json", 0, "data_below_admission", "move the data elsewhere, for instance below lists", "data below admission could stand in for rules")
	}
	return base
}

// mergeData adds src to dst; values may meet only as objects. It returns the
// path of the first conflict.
func mergeData(dst, src map[string]any, at string) string {
	for k, v := range src {
		old, ok := dst[k]
		if !ok {
			dst[k] = v
			continue
		}
		a, isA := old.(map[string]any)
		b, isB := v.(map[string]any)
		if !isA || !isB {
			return at + "/" + k
		}
		if where := mergeData(a, b, at+"/"+k); where != "" {
			return where
		}
	}
	return ""
}

// decodeData reads one data file, an object without repeated keys.
func decodeData(f sourceFile) (m map[string]any, line int, err error) {
	var v any
	if path.Ext(f.path) == ".json" {
		d := json.NewDecoder(bytes.NewReader(f.body))
		d.UseNumber()
		v, err = decodeJSON(d, 0)
		if err == nil {
			if _, more := d.Token(); more != io.EOF {
				err = errors.New("data after the end of the object")
			}
		}
		if err != nil {
			return nil, 1 + bytes.Count(f.body[:min(int(d.InputOffset()), len(f.body))], []byte("\n")), err
		}
	} else {
		err := yaml.Unmarshal(f.body, &v)
		if err == nil {
			v, err = plain(v)
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if v == nil && len(bytes.TrimSpace(f.body)) == 0 {
		return map[string]any{}, 0, nil
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, 1, errors.New("a data file holds one object")
	}
	return m, 0, nil
}

// decodeJSON reads one value and refuses repeated keys: the decoder of the
// standard library would silently keep the last.
func decodeJSON(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > 100 {
		return nil, errors.New("nested too deeply")
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeJSON(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ := k.(string)
			if _, twice := m[key]; twice {
				return nil, fmt.Errorf("key %q is written twice", clip(key, 80))
			}
			if m[key], err = decodeJSON(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return m, err
	}
	return t, nil
}

// plain reduces what YAML or a caller hands over to the types of JSON, numbers
// as json.Number.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, json.Number:
		return v, nil
	case []any:
		for i := range v {
			var err error
			if v[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
		return v, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			var err error
			if out[k], err = plain(v[k]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("a value of type %T has no form in JSON: %w", v, err)
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	return decodeJSON(d, 0)
}
