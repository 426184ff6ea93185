package main

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"guestlist/broker"
)

// maxTreeDepth bounds values without a shape of their own.
const maxTreeDepth = 16

// valueReader reads the value n of the member at path.
type valueReader func(r *configReader, path string, n ast.Node)

// notYet refuses a member that the design names and that has no effect yet.
func notYet(r *configReader, path string, _ ast.Node) {
	r.fault(path, "remove it: this version would not heed it", "is not available yet")
}

// textValue reads one line of text.
func textValue(to *string) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		if s, ok := r.text(path, n); ok {
			*to = s
		}
	}
}

func (r *configReader) text(path string, n ast.Node) (string, bool) {
	var s string
	switch v := r.follow(path, n).(type) {
	case nil:
		return "", false
	case *ast.StringNode:
		s = v.Value
	case *ast.LiteralNode:
		s = v.Value.Value
	case *ast.NullNode:
	default:
		r.fault(path, "put it in quotes", "is not text")
		return "", false
	}
	switch {
	case s == "":
		r.fault(path, "give it one, or remove it", "has no value")
	case strings.ContainsFunc(s, unicode.IsControl):
		r.fault(path, "write it in one line", "has a line break or another control character")
	default:
		return s, true
	}
	return "", false
}

// fileValue reads a path.
func fileValue(to *string) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		s, ok := r.text(path, n)
		if !ok {
			return
		}
		s, err := absolutePath(r.dir, s)
		if err != nil {
			r.fault(path, "write it as an absolute path", "%v", err)
			return
		}
		*to = s
	}
}

func flagValue(to *bool) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		switch v := r.follow(path, n).(type) {
		case nil:
		case *ast.BoolNode:
			*to = v.Value
		default:
			r.fault(path, "write true or false", "is neither true nor false")
		}
	}
}

func integerValue(to *int64) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		v := r.follow(path, n)
		if v == nil {
			return
		}
		if i, ok := v.(*ast.IntegerNode); ok {
			switch i := i.Value.(type) {
			case int64:
				*to = i
				return
			case uint64:
				if i <= 1<<62 {
					*to = int64(i)
					return
				}
			}
		}
		r.fault(path, "write it in digits alone, at most 18, without a unit", "is not a whole number")
	}
}

// durationValue reads Go's form plus d. A bare number has no unit, but for 0.
func durationValue(to *broker.Duration) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		v := r.follow(path, n)
		if v == nil {
			return
		}
		var s string
		if number, ok := v.(ast.ScalarNode); ok && (v.Type() == ast.IntegerType || v.Type() == ast.FloatType) {
			s = number.GetToken().Value
		} else if s, ok = r.text(path, v); !ok {
			return
		}
		d, err := broker.ParseDuration(s)
		if err != nil {
			r.fault(path, "give it a unit: s, m, h or d", "%v", err)
			return
		}
		*to = d
	}
}

// list hands each item of a list to one, with its path.
func (r *configReader) list(path string, n ast.Node, one func(path string, n ast.Node)) {
	switch v := r.follow(path, n).(type) {
	case nil, *ast.NullNode:
	case *ast.SequenceNode:
		for i, item := range v.Values {
			at := fmt.Sprintf("%s[%d]", path, i)
			r.lines[at] = nodeLine(item)
			one(at, item)
		}
	default:
		r.fault(path, "write it as a list: each item after a dash", "is not a list")
	}
}

// textsValue reads a list of text. A bad item is kept as "", so that the paths
// of the others stay right.
func textsValue(to *[]string) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		r.list(path, n, func(at string, item ast.Node) {
			s, _ := r.text(at, item)
			*to = append(*to, s)
		})
	}
}

// sectionValues reads a list of mappings. An item that is none is kept with its
// zero value, so that the paths of the others stay right.
func sectionValues[T any](to *[]T, members func(*T) map[string]configMember) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		r.list(path, n, func(at string, item ast.Node) {
			var v T
			if item = r.follow(at, item); item != nil && item.Type() == ast.NullType {
				r.fault(at, "give it members, or remove the dash", "is empty")
			}
			r.section(at, item, members(&v))
			*to = append(*to, v)
		})
	}
}

// textMapValue reads a mapping of text to text. Keys stand in brackets in paths,
// because they have dots of their own.
func textMapValue(to *map[string]string) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		n = r.follow(path, n)
		if n == nil || n.Type() == ast.NullType {
			return
		}
		if !isMapping(n) {
			r.fault(path, "put its members below it, indented", "is not a mapping")
			return
		}
		*to = map[string]string{}
		for _, e := range r.entries(path, n) {
			at := fmt.Sprintf("%s[%s]", path, e.key)
			r.lines[at] = e.line
			if s, ok := r.text(at, e.value); ok {
				(*to)[e.key] = s
			}
		}
	}
}

// treeValue reads a mapping whose members are somebody else's to judge.
func treeValue(to *map[string]any) valueReader {
	return func(r *configReader, path string, n ast.Node) {
		switch v := r.tree(path, n, maxTreeDepth).(type) {
		case nil:
		case map[string]any:
			*to = v
		default:
			r.fault(path, "put its members below it, indented", "is not a mapping")
		}
	}
}

// tree returns n as encoding/json would: nil, bool, string, numbers, []any and
// map[string]any.
func (r *configReader) tree(path string, n ast.Node, depth int) any {
	if depth == 0 {
		r.fault(path, "write less deeply", "is nested too deeply")
		return nil
	}
	n = r.follow(path, n)
	if n != nil && isMapping(n) {
		m := map[string]any{}
		for _, e := range r.entries(path, n) {
			at := joinPath(path, e.key)
			r.lines[at] = e.line
			m[e.key] = r.tree(at, e.value, depth-1)
		}
		return m
	}
	switch v := n.(type) {
	case nil, *ast.NullNode:
		return nil
	case *ast.BoolNode:
		return v.Value
	case *ast.IntegerNode:
		return v.Value
	case *ast.FloatNode:
		return v.Value
	case *ast.StringNode:
		return v.Value
	case *ast.LiteralNode:
		return v.Value.Value
	case *ast.SequenceNode:
		list := []any{}
		r.list(path, v, func(at string, item ast.Node) { list = append(list, r.tree(at, item, depth-1)) })
		return list
	}
	r.fault(path, "write text, a number, true, false, a list or a mapping", "is of no kind that a setting has")
	return nil
}
