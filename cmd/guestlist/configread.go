package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxConfigNodes bounds how much aliases may unfold to.
const maxConfigNodes = 20000

// configReader turns YAML and variables into a config and keeps every problem
// it meets. Members are named by their path, such as cimd.cache_floor or
// resources[0].id.
type configReader struct {
	name     string // of the file, as errors show it
	dir      string // what relative paths are relative to
	anchors  map[string]ast.Node
	lines    map[string]int    // path to line, of what the file has
	env      map[string]string // path to variable, of what a variable has given
	bad      map[string]bool   // paths with a problem: one mistake is told once
	nodes    int
	problems []configProblem
}

// configProblem is one line of the error.
type configProblem struct {
	line int // 0: in no line of the file
	text string
}

func newConfigReader(name string) *configReader {
	return &configReader{
		name: name, dir: filepath.Dir(name), anchors: map[string]ast.Node{},
		lines: map[string]int{}, env: map[string]string{}, bad: map[string]bool{},
	}
}

// fault keeps what is wrong with the member at path and what to do about it.
func (r *configReader) fault(path, remedy, format string, args ...any) {
	if r.isBad(path) {
		return
	}
	r.bad[path] = true
	what := fmt.Sprintf(format, args...) + ". Remedy: " + remedy
	if name := r.env[path]; name != "" {
		r.problems = append(r.problems, configProblem{0, "environment " + name + ": " + what})
		return
	}
	r.faultAt(r.line(path), "%s: %s", path, what)
}

// faultAt keeps a problem that belongs to a line, or to none if it is 0.
func (r *configReader) faultAt(line int, format string, args ...any) {
	place := r.name
	if line > 0 {
		place = fmt.Sprintf("%s:%d", r.name, line)
	}
	r.problems = append(r.problems, configProblem{line, place + ": " + fmt.Sprintf(format, args...)})
}

// isBad reports whether a problem with path, or with a section that it is in,
// has been told.
func (r *configReader) isBad(path string) bool {
	for ; path != ""; path = parentPath(path) {
		if r.bad[path] {
			return true
		}
	}
	return false
}

// line returns where path stands, or else the section that should have it.
func (r *configReader) line(path string) int {
	for ; path != ""; path = parentPath(path) {
		if n, ok := r.lines[path]; ok {
			return n
		}
	}
	return 0
}

func parentPath(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// given reports whether the file or a variable has the member.
func (r *configReader) given(path string) bool {
	_, inFile := r.lines[path]
	return inFile || r.env[path] != ""
}

// err returns every problem, one a line, in the order of the file; those
// without a line come last.
func (r *configReader) err() error {
	slices.SortStableFunc(r.problems, func(a, b configProblem) int {
		return cmp.Compare(uint(a.line-1), uint(b.line-1)) // 0 becomes the largest
	})
	var all []error
	for _, p := range r.problems {
		all = append(all, errors.New(p.text))
	}
	return errors.Join(all...)
}

// read takes what the file and the variables say, and checks nothing that needs
// more than one member or a look at the disk. Its error is one that leaves
// nothing to go on with.
func (r *configReader) read(data []byte, environ []string) (config, error) {
	if len(data) > maxConfigBytes {
		return config{}, fmt.Errorf("%s: more than %d bytes are no configuration. Remedy: name the right file", r.name, maxConfigBytes)
	}
	c := defaultConfig()
	members := c.members()
	if err := r.document(bytes.TrimPrefix(data, []byte("\ufeff")), members); err != nil {
		return config{}, err
	}
	r.environment(environ, members)
	return c, nil
}

// document reads the file. Its error is one that leaves nothing to go on with.
func (r *configReader) document(data []byte, members map[string]configMember) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%s: it is not UTF-8 text. Remedy: save it as UTF-8", r.name)
	}
	parsed, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		return fmt.Errorf("%s:%d: not YAML: %s. Remedy: correct this line or the one before", r.name, at.GetToken().Position.Line, at.GetMessage())
	}
	if err != nil {
		return fmt.Errorf("%s: not YAML. Remedy: name a configuration file", r.name)
	}
	var body ast.Node
	for _, doc := range parsed.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			return fmt.Errorf("%s:%d: a second YAML document begins here. Remedy: keep the configuration in one", r.name, nodeLine(doc.Body))
		}
		body = doc.Body
	}
	if body == nil || body.Type() == ast.NullType {
		return fmt.Errorf("%s: the file is empty. Remedy: it needs at least issuer, listen, store, policies, people, resources and keys", r.name)
	}
	ast.Walk(r, body)
	r.section("", body, members)
	return nil
}

// Visit implements ast.Visitor: it finds the anchors.
func (r *configReader) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		name := a.Name.GetToken().Value
		if _, again := r.anchors[name]; again {
			r.faultAt(nodeLine(n), "anchor %q is there twice. Remedy: rename one", name)
		}
		r.anchors[name] = a.Value
	}
	return r
}

// section reads the members of a mapping; nothing at all is a mapping too.
func (r *configReader) section(path string, n ast.Node, members map[string]configMember) {
	if n = r.follow(path, n); n == nil || n.Type() == ast.NullType {
		return
	}
	if !isMapping(n) {
		if path == "" {
			r.faultAt(nodeLine(n), "not a configuration. Remedy: write members such as \"issuer: https://id.example\"")
			return
		}
		r.fault(path, "put its members below it, indented", "is not a mapping")
		return
	}
	for _, e := range r.entries(path, n) {
		at := joinPath(path, e.key)
		m, known := members[e.key]
		if !known {
			r.unknown(path, e, members)
			continue
		}
		r.lines[at] = e.line
		if m.section != nil {
			r.section(at, e.value, m.section)
			continue
		}
		m.value(r, at, e.value)
	}
}

// unknown refuses a member. The one that was perhaps meant is not told to be
// missing as well.
func (r *configReader) unknown(path string, e configEntry, members map[string]configMember) {
	meant := meantMember(path, e.key, members)
	if len(meant) == 1 {
		r.bad[meant[0]] = true
	}
	r.faultAt(e.line, "%s: unknown member%s. Remedy: correct or remove it", joinPath(path, e.key), didYouMean(meant...))
}

// follow returns the node that n stands for, nil if that was told to be wrong.
func (r *configReader) follow(path string, n ast.Node) ast.Node {
	for n != nil {
		if r.nodes++; r.nodes > maxConfigNodes {
			r.tooMuch(n)
			return nil
		}
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.AliasNode:
			target, ok := r.anchors[v.Value.GetToken().Value]
			if !ok {
				r.fault(path, "define it, or put the text in quotes", "no anchor is called %q", v.Value.GetToken().Value)
			}
			n = target
		default:
			return n
		}
	}
	return nil
}

func (r *configReader) tooMuch(n ast.Node) {
	if !r.bad["*"] {
		r.bad["*"] = true
		r.faultAt(nodeLine(n), "aliases unfold to more than %d values. Remedy: write it without aliases", maxConfigNodes)
	}
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
