package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// File is the name of a file of scenes at the root of a policy directory.
const File = "scenes.json"

// Limits of a file of scenes.
const (
	maxFile   = 8 << 20
	maxScenes = 1000
)

// Read reads scenes.json at the root, and the documents it names. No such file
// is no scenes. Errors name file and line.
func Read(root fs.FS) ([]Scene, error) {
	body, err := readRegular(root, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := reader{body: body, json: json.NewDecoder(bytes.NewReader(body))}
	if err := r.value(Schema(), ""); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", File, r.line(), err)
	}
	if _, err := r.json.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s:%d: data after the end of the object", File, r.line())
	}
	var whole struct{ Scenes []Scene }
	if err := json.Unmarshal(body, &whole); err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	if len(whole.Scenes) > maxScenes {
		return nil, fmt.Errorf("%s has %d scenes, at most %d", File, len(whole.Scenes), maxScenes)
	}
	seen := map[string]bool{}
	for i := range whole.Scenes {
		s := &whole.Scenes[i]
		if err := s.complete(root); err != nil {
			return nil, fmt.Errorf("%s: scene %s: %w", File, s.Name, err)
		}
		if seen[s.Name] {
			return nil, fmt.Errorf("%s: two scenes are called %s", File, s.Name)
		}
		seen[s.Name] = true
	}
	return whole.Scenes, nil
}

// readRegular reads one file. Whoever proposes a change of a guest list chooses
// what is in the directory: a link to a device would have no end.
func readRegular(root fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(root, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return fs.ReadFile(root, name)
}

// complete reads the document that the scene names, and holds what the schema
// cannot say.
func (s *Scene) complete(root fs.FS) error {
	if s.Refresh != nil && s.User == nil {
		return errors.New("a refresh needs a user who agreed before")
	}
	if s.Expect != nil && s.Expect.Outcome == Admitted && s.Expect.Reason != "" {
		return errors.New("what is admitted has no reason")
	}
	var name string
	if json.Unmarshal(s.Document, &name) != nil || s.Document == nil {
		return nil
	}
	body, err := readRegular(root, path.Clean(name))
	if err != nil {
		return fmt.Errorf("document: %w", err)
	}
	s.Document = body
	return nil
}

// reader holds JSON to a schema while reading it, so that an error has a line.
type reader struct {
	body []byte
	json *json.Decoder
}

func (r *reader) line() int {
	return 1 + bytes.Count(r.body[:min(int(r.json.InputOffset()), len(r.body))], []byte("\n"))
}

// value reads one value; a nil schema takes any.
func (r *reader) value(s node, at string) error {
	t, err := r.json.Token()
	if err != nil {
		return err
	}
	kind := kindOf(t)
	if s != nil && !slices.Contains(kinds(s), kind) {
		return fmt.Errorf("%s is %s; want %s", place(at), article(kind), wanted(s))
	}
	switch kind {
	case "object":
		return r.object(s, at)
	case "array":
		items, _ := s["items"].(node)
		for i := 0; r.json.More(); i++ {
			if err := r.value(items, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		_, err := r.json.Token()
		return err
	}
	return scalar(s, t, at)
}

// object reads the members after the brace.
func (r *reader) object(s node, at string) error {
	members, closed := s["properties"].(node)
	seen := map[string]bool{}
	for r.json.More() {
		t, err := r.json.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		next, known := members[name].(node)
		switch {
		case seen[name]:
			return fmt.Errorf("%s is written twice", place(join(at, name)))
		case closed && !known:
			return fmt.Errorf("%s has no member %q; it has %s", place(at), name, strings.Join(names(members), ", "))
		}
		seen[name] = true
		if err := r.value(next, join(at, name)); err != nil {
			return err
		}
	}
	required, _ := s["required"].([]any)
	for _, v := range required {
		if name, _ := v.(string); !seen[name] {
			return fmt.Errorf("%s needs the member %s", place(at), name)
		}
	}
	_, err := r.json.Token()
	return err
}

// scalar checks what a string may be.
func scalar(s node, t json.Token, at string) error {
	if values, ok := s["enum"].([]any); ok && !slices.Contains(values, any(t)) {
		return fmt.Errorf("%s: want one of %v", place(at), values)
	}
	text, _ := t.(string)
	if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(text) {
		return fmt.Errorf("%s: %q does not fit %s", place(at), text, p)
	}
	return nil
}
