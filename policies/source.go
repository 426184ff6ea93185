package policies

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"

	yaml "github.com/goccy/go-yaml"
)

// maxFile bounds one policy or data file.
const maxFile = 64 << 20

// source is one root as read: bytes only, nothing parsed.
type source struct {
	label string // put before file names in findings: "" or "guardrails:"
	files []sourceFile
}

type sourceFile struct {
	path string
	body []byte
}

// name is how findings and decisions call the file.
func (s *source) name(f sourceFile) string { return s.label + f.path }

// readSource reads .rego files, data.json, data.yaml and data.yml, and the
// FactsFile. Names that
// begin with a dot are left out. A symbolic link to a directory is a fault: the
// walk does not follow it, and a missing denial would make nobody suspicious.
func readSource(root fs.FS, label string, out *report) *source {
	s := &source{label: label}
	if root == nil {
		return s
	}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := path.Base(name); strings.HasPrefix(base, ".") && name != "." {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			if info, err := fs.Stat(root, name); err != nil || info.IsDir() {
				out.fail(s.label+name, 0, "directory_link", "put the directory itself there, or links to its files",
					"the link leads to a directory or nowhere, so denials in it would be missing")
				return nil
			}
		}
		s.read(root, name, out)
		return nil
	})
	if err != nil {
		out.fail(label+".", 0, "unreadable", "", "read the policy directory: %v", err)
	}
	return s
}

func (s *source) read(root fs.FS, name string, out *report) {
	if path.Base(name) == FactsFile && name != FactsFile {
		out.warn(s.label+name, 0, "facts_schema_place", "move it to the root of the policy directory", "only the "+FactsFile+" at the root names facts")
		return
	}
	if !isRego(name) && !isData(name) && name != FactsFile {
		if ext := path.Ext(name); !isScene(name) && (ext == ".json" || ext == ".yaml" || ext == ".yml") {
			out.warn(s.label+name, 0, "data_ignored", "name it data"+ext+" in a directory of its own", "only data.json and data.yaml hold data")
		}
		return
	}
	info, err := fs.Stat(root, name)
	if err == nil && info.IsDir() {
		return
	}
	var body []byte
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file, nor a link to one") // a pipe would block, a device never end
	}
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	if err == nil {
		body, err = fs.ReadFile(root, name)
	}
	if err != nil {
		out.fail(s.label+name, 0, "unreadable", "", "read the file: %v", err)
		return
	}
	s.files = append(s.files, sourceFile{name, body})
}

func isRego(name string) bool { return path.Ext(name) == ".rego" }
func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }
func isData(name string) bool {
	switch path.Base(name) {
	case "data.json", "data.yaml", "data.yml":
		return true
	}
	return false
}

// digest adds what decides to the revision: names and bytes of policies and
// data, tests left out.
func digest(maxima []byte, contract string, sources ...*source) string {
	var lines []string
	for _, s := range sources {
		for _, f := range s.files {
			if !isTest(f.path) {
				sum := sha256.Sum256(f.body)
				lines = append(lines, fmt.Sprintf("%q %x\n", s.name(f), sum))
			}
		}
	}
	sort.Strings(lines)
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s%s\n%s", len(lines), strings.Join(lines, ""), contract, maxima)
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

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
