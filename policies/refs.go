package policies

import (
	"cmp"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// checkRefs walks every reference of the compiled modules, where imports and
// local names are already resolved.
func (c *compiled) checkRefs(out *report) {
	for _, p := range c.packages {
		m := c.compiler.Modules[p.file]
		if m == nil {
			continue
		}
		at := func(loc *ast.Location, rule *ast.Rule) int {
			if loc != nil {
				return loc.Row
			}
			return rule.Location.Row
		}
		for _, r := range m.Rules {
			ast.NewGenericVisitor(func(x any) bool {
				switch x := x.(type) {
				case *ast.With:
					out.fail(p.file, at(x.Location, r), "with_not_allowed", "with belongs in tests", "a policy decides about the input it is given")
				case *ast.Term:
					if ref, ok := x.Value.(ast.Ref); ok {
						c.checkRef(p, ref, at(x.Location, r), out)
					}
				}
				return false
			}).Walk(r)
		}
	}
}

func (c *compiled) checkRef(p *pkg, ref ast.Ref, line int, out *report) {
	switch {
	case ref.HasPrefix(ast.InputRootRef):
		if len(ref) == 1 {
			out.fail(p.file, line, "input_bare", "name the member: input.client.host", "input is used as a whole, so that nobody can tell what the rule reads")
		} else if name, ok := ref[1].Value.(ast.String); !ok {
			out.fail(p.file, line, "input_dynamic", "name the member: input.client", "input is read by a variable, so that nobody can tell what the rule reads")
		} else if name == "facts" {
			c.checkFact(p, ref, line, out)
		}
	case ref.HasPrefix(ast.DefaultRootRef):
		if code, why, remedy := c.resolve(p, ref); code != "" {
			out.fail(p.file, line, code, remedy, "%s: %s", ref, why)
		}
	}
}

// checkFact holds what is read of input.facts to the schema: the engine's own
// check takes an empty schema for an open one, and looks into no function.
func (c *compiled) checkFact(p *pkg, ref ast.Ref, line int, out *report) {
	if len(ref) < 3 {
		out.fail(p.file, line, "facts_bare", "name the fact: input.facts.NAME", "input.facts is used as a whole, so that a misspelt fact would be missed")
		return
	}
	name, ok := ref[2].Value.(ast.String)
	switch {
	case !ok:
		out.fail(p.file, line, "facts_dynamic", "name the fact: input.facts.NAME", "input.facts is read by a variable, so that a misspelt fact would be missed")
	case c.facts.facts[string(name)] == nil:
		out.fail(p.file, line, "input_unknown", "", "input.facts.%s: %v", string(name), c.facts.unknown(string(name)))
	}
}

// resolve says why a data reference leads nowhere, or where it must not lead.
func (c *compiled) resolve(p *pkg, ref ast.Ref) (code, why, remedy string) {
	path := stringPath(ref)
	if len(path) == 0 {
		return "data_dynamic", "data is read as a whole or by a variable", "name the path"
	}
	for i := len(path); i > 0; i-- {
		if file, ok := c.paths[strings.Join(path[:i], sep)]; ok {
			if path[0] == "admission" && file != p.file {
				return "policy_reference", "a policy does not read another one", "move what both need to a library package"
			}
			return "", "", ""
		}
	}
	if c.leadsTo(p, path) {
		return "", "", ""
	}
	if path[0] == "admission" {
		if c.byPath[strings.Join(p.path, sep)] == p && len(path) > len(p.path) && strings.Join(path[:len(p.path)], sep) == strings.Join(p.path, sep) {
			return "data_unresolved", "no rule defines it", ""
		}
		return "policy_reference", "a policy does not read another one", "move what both need to a library package"
	}
	for _, other := range c.packages {
		if len(path) <= len(other.path) && strings.Join(other.path[:len(path)], sep) == strings.Join(path, sep) {
			return "data_package", "it names a package, not a value", "name the rule"
		}
	}
	return c.resolveBase(path, ref)
}

// leadsTo reports whether path names the common part of rules whose heads have
// several parts: _map, where the rules are _map.a and _map.b. In a package below
// admission only its own count.
func (c *compiled) leadsTo(p *pkg, path []string) bool {
	full := strings.Join(path, sep) + sep
	for _, other := range c.packages {
		own := strings.Join(other.path, sep) + sep
		if !strings.HasPrefix(full, own) || len(path) == len(other.path) || path[0] == "admission" && other != p {
			continue
		}
		for key, file := range c.paths {
			if file == other.file && strings.HasPrefix(key, full) {
				return true
			}
		}
	}
	return false
}

// resolveBase walks the base data.
func (c *compiled) resolveBase(path []string, ref ast.Ref) (code, why, remedy string) {
	var node any = c.base
	for i, name := range path {
		m, ok := node.(map[string]any)
		if !ok {
			return "data_unresolved", "data." + strings.Join(path[:i], ".") + " holds no object", ""
		}
		if node, ok = m[name]; !ok {
			have := make([]string, 0, len(m))
			for k := range m {
				if len(have) < nearSearch {
					have = append(have, k)
				}
			}
			return "data_unresolved", "neither a data file nor a package has " + name, cmp.Or(didYouMean(name, have), missingData(path))
		}
	}
	if _, ok := node.(map[string]any); !ok && len(ref) > len(path)+1 {
		if _, isList := node.([]any); !isList {
			return "data_unresolved", "data." + strings.Join(path, ".") + " holds one value", ""
		}
	}
	return "", "", ""
}

// missingData says where data is looked for.
func missingData(path []string) string {
	if len(path) == 2 && path[0] == "lists" {
		return "write lists/" + path[1] + "/data.json below the policy directory; {} is a list without rows"
	}
	return "name the whole policy directory, or write the value into a data.json in it"
}
