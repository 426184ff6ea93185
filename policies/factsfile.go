package policies

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// FactValues are the values of facts as one file gives them, not yet held to
// any schema.
type FactValues struct {
	File   string         // as messages name it
	Values map[string]any // by name; never nil
	lines  map[string]int
}

// ReadFacts reads the content of a file of facts: one object, name to value, as
// JSON where the file's name ends in .json, else as YAML. One without content is
// ErrFactsEmpty: it may be half written, and would lift every freeze. Set.WithFacts
// holds the values to a schema.
func ReadFacts(file string, body []byte) (FactValues, error) {
	read := readYAMLFacts
	if path.Ext(file) == ".json" {
		read = readJSONFacts
	}
	v := FactValues{File: file, Values: map[string]any{}, lines: map[string]int{}}
	line, err := 0, ErrFactsEmpty
	if len(strings.TrimSpace(string(body))) > 0 {
		line, err = read(body, &v)
	}
	if err != nil {
		if line > 0 {
			file = fmt.Sprintf("%s:%d", file, line)
		}
		return FactValues{}, fmt.Errorf("%s: %w", file, err)
	}
	return v, nil
}

// ErrFactsEmpty says that a file of facts holds nothing at all.
var ErrFactsEmpty = errors.New("it has no content. Remedy: write {} to it if every fact shall have its default")

var errNoFacts = errors.New("want one object, name to value: change_freeze: true")

func readJSONFacts(body []byte, v *FactValues) (line int, err error) {
	n, line, err := readJSON(body)
	if err != nil {
		return line, err
	}
	if !n.isObject() {
		return n.line, errNoFacts
	}
	for name, m := range n.members {
		v.Values[name], v.lines[name] = m.value(), m.line
	}
	return 0, nil
}

func readYAMLFacts(body []byte, v *FactValues) (line int, err error) {
	tree, err := parser.ParseBytes(body, 0)
	if err != nil {
		return 0, err
	}
	if len(tree.Docs) > 1 {
		return 0, errors.New("it holds more than one document")
	}
	var all any
	if err := yaml.Unmarshal(body, &all); err != nil {
		return 0, err
	}
	if all, err = plain(all); err != nil {
		return 0, err
	}
	if all == nil {
		return 0, ErrFactsEmpty
	}
	values, ok := all.(map[string]any)
	if !ok {
		return 1, errNoFacts
	}
	for name, value := range values {
		v.Values[name] = value
	}
	if len(tree.Docs) > 0 {
		if m, ok := tree.Docs[0].Body.(*ast.MappingNode); ok {
			for _, pair := range m.Values {
				t := pair.Key.GetToken()
				v.lines[t.Value] = t.Position.Line
			}
		}
	}
	return 0, nil
}

// Explain puts file and line before what Set.WithFacts had to say about these
// values.
func (v FactValues) Explain(err error) error {
	var faults FactFaults
	if !errors.As(err, &faults) {
		return fmt.Errorf("%s: %w", v.File, err)
	}
	var lines []string
	for _, f := range faults {
		at := v.File
		if n := v.lines[f.Name]; n > 0 {
			at = fmt.Sprintf("%s:%d", v.File, n)
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %v", at, clip(f.Name, 80), f.Err))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// LoadFacts reads the FactsFile of a policy directory and nothing else of it:
// the Set has its facts, with their defaults, and no policy. A fact can so be
// looked up and set while a policy beside it is broken.
func LoadFacts(root fs.FS) (*Set, error) {
	out, src := &report{}, &source{}
	switch _, err := fs.Stat(root, FactsFile); {
	case err == nil:
		src.find(root, FactsFile, out)
		src.read(root, out)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the facts schema: %w", err)
	}
	s := &Set{schema: src.readFactsSchema(out), index: &index{}, keys: newInputKeys(), deadline: defaultDeadline}
	s.index.seal()
	if _, err := out.result(); err != nil {
		return nil, err
	}
	return s.WithFacts(nil)
}
