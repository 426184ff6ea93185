package policies

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker/decisionlog"
)

// checkMask holds what the heads of mask show: elements have the form that
// masking reads, and their paths lead into the body of a record. What is
// computed shows only when a record is masked.
func (p *pkg) checkMask(facts factsSchema, out *report) {
	if p.kind != kindMask {
		return
	}
	for _, r := range p.rules[maskRule] {
		if r.Head.Key == nil {
			continue
		}
		path, why := maskElement(r.Head.Key.Value)
		if why != "" {
			out.fail(p.file, r.Location.Row, "mask_invalid", `write a JSON pointer, {"op": "remove", "path": "/…"} or {"op": "upsert", "path": "/…", "value": …}`,
				"package %s: mask: %s", p.name, why)
		}
		if path != nil {
			checkMaskPath(facts, string(*path), p.file, r.Location.Row, out)
		}
	}
}

// maskElement returns the path of an element where it is written out, and what
// shows that the element cannot be read.
func maskElement(v ast.Value) (path *ast.String, why string) {
	if s, ok := v.(ast.String); ok {
		return &s, ""
	}
	o, ok := v.(ast.Object)
	if !ok {
		if ast.IsConstant(v) {
			return nil, "an element is neither a text nor an object"
		}
		return nil, ""
	}
	have := map[string]*ast.Term{}
	for _, k := range o.Keys() {
		name, ok := k.Value.(ast.String)
		if !ok {
			return nil, ""
		}
		have[string(name)] = o.Get(k)
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if known := []string{"op", "path", "value"}; !slices.Contains(known, name) {
			return nil, "an element has no member " + name
		}
	}
	if have["op"] == nil || have["path"] == nil {
		return nil, "an element lacks op or path"
	}
	if op, ok := have["op"].Value.(ast.String); ok {
		switch {
		case op != opRemove && op != opUpsert:
			return nil, "op is " + op.String() + ", which is neither remove nor upsert"
		case op == opUpsert && have["value"] == nil:
			return nil, "an upsert has no value"
		case op == opRemove && have["value"] != nil:
			return nil, "a removal has a value"
		}
	}
	if s, ok := have["path"].Value.(ast.String); ok {
		path = &s
	}
	return path, ""
}

// checkMaskPath reports a path that leads nowhere in any record, or where masks
// do not reach.
func checkMaskPath(facts factsSchema, path, file string, line int, out *report) {
	names, err := decisionlog.CheckPath(path)
	if err != nil {
		out.fail(file, line, "mask_path", "the body of a record is "+strings.Join(decisionlog.BodyPaths(), ", ")+` and what is below, of effective, phases and settings what is computed; in a name "/" is written ~1 and "~" is ~0`,
			"mask: %q does not lead into the body of a record", clip(path, 200))
		return
	}
	node := maskable(facts)
	for i, name := range names {
		typ, _ := node["type"].(string)
		props, _ := node["properties"].(map[string]any)
		switch {
		case typ == "":
			return // open: as somebody else wrote it
		case typ == "array":
			if n, err := strconv.Atoi(name); err != nil || n < 0 || strconv.Itoa(n) != name {
				out.fail(file, line, "mask_path", "write an index, or the path of the list", "mask: %q leads into a list by %q, which is no index", clip(path, 200), clip(name, 80))
				return
			}
			node, _ = node["items"].(map[string]any)
		case props[name] != nil:
			node = props[name].(map[string]any)
		default:
			out.fail(file, line, "mask_path", didYouMean(name, slices.Collect(maps.Keys(props))), "mask: %q leads nowhere: /%s has no %s",
				clip(path, 200), strings.Join(names[:i], "/"), clip(name, 80))
			return
		}
	}
}
