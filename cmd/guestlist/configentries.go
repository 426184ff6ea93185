package main

import (
	"slices"

	"github.com/goccy/go-yaml/ast"
)

// configEntry is one member of a mapping.
type configEntry struct {
	key   string
	line  int
	value ast.Node
}

// entries returns the members of a mapping, those of merge keys last and only
// where the mapping does not say otherwise.
func (r *configReader) entries(path string, n ast.Node) []configEntry {
	var own []configEntry
	var merged []ast.Node
	lines := map[string]int{}
	for _, v := range pairs(n) {
		key, at := v.Key.GetToken().Value, nodeLine(v.Key)
		if v.Key.IsMergeKey() {
			merged = append(merged, v.Value)
			continue
		}
		if first, again := lines[key]; again {
			r.faultAt(at, "%s: is already in line %d. Remedy: remove one", joinPath(path, key), first)
			continue
		}
		lines[key] = at
		own = append(own, configEntry{key, at, v.Value})
	}
	for len(merged) > 0 {
		m := r.follow(joinPath(path, "<<"), merged[0])
		merged = merged[1:]
		switch list, isList := m.(*ast.SequenceNode); {
		case m == nil:
		case isList:
			merged = append(slices.Clone(list.Values), merged...)
		case !isMapping(m):
			r.faultAt(nodeLine(m), "%s is merged and is not a mapping. Remedy: merge a mapping", joinPath(path, "<<"))
		default:
			for _, e := range r.entries(path, m) {
				if _, has := lines[e.key]; !has {
					lines[e.key] = e.line
					own = append(own, e)
				}
			}
		}
	}
	return own
}

func pairs(n ast.Node) []*ast.MappingValueNode {
	switch v := n.(type) {
	case *ast.MappingNode:
		return v.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{v}
	}
	return nil
}

func isMapping(n ast.Node) bool {
	_, ok := n.(ast.MapNode)
	return ok
}

func nodeLine(n ast.Node) int {
	if v, ok := n.(*ast.MappingNode); ok && len(v.Values) > 0 {
		n = v.Values[0].Key // the mapping's own token is its first colon
	}
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}
