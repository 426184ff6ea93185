package policies

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

// allowedBuiltins are the built-in functions a policy may call: pure functions
// of their operands. What reads clock, host, network, chance or the zone
// database of the host stays out, and so does what cannot be bounded: the
// deadline is looked at between calls, and inside of few. What one call takes
// depends on its operands, so boundedCalls bounds those, checkOperands holds
// formats and patterns, and checkCopies what grows without any call. units.parse
// and units.parse_bytes are out because "1e999999" takes them seconds. What is
// left: comparing two values that each hold another many thousand times, built by
// comprehensions in comprehensions, takes time that nothing cuts, and no memory;
// it is an author's own refusal, for clients of that policy alone.
// internal.* are what the compiler makes of "in", templates and
// print; print statements are erased.
var allowedBuiltins = map[string]bool{
	"abs": true, "all": true, "and": true, "any": true, "array.concat": true, "array.flatten": true, "array.reverse": true,
	"array.slice": true, "assign": true, "base64.decode": true, "base64.encode": true, "base64.is_valid": true,
	"base64url.decode": true, "base64url.encode": true, "base64url.encode_no_pad": true, "ceil": true, "concat": true,
	"contains": true, "count": true, "crypto.hmac.equal": true, "crypto.hmac.sha256": true, "crypto.sha256": true,
	"div": true, "endswith": true, "eq": true, "equal": true, "floor": true, "format_int": true, "glob.match": true,
	"glob.quote_meta": true, "graph.reachable": true, "gt": true, "gte": true, "hex.decode": true, "hex.encode": true,
	"indexof": true, "indexof_n": true, "internal.member_2": true, "internal.member_3": true, "internal.print": true,
	"internal.template_string": true, "internal.test_case": true, "intersection": true, "is_array": true,
	"is_boolean": true, "is_null": true, "is_number": true, "is_object": true, "is_set": true, "is_string": true,
	"json.filter": true, "json.is_valid": true, "json.marshal": true, "json.remove": true, "json.unmarshal": true,
	"lower": true, "lt": true, "lte": true, "max": true, "min": true, "minus": true, "mul": true, "neq": true, "net.cidr_contains": true, "net.cidr_intersects": true, "net.cidr_is_valid": true,
	"numbers.range": true, "numbers.range_step": true, "object.filter": true, "object.get": true, "object.keys": true,
	"object.remove": true, "object.subset": true, "object.union": true, "object.union_n": true, "or": true, "plus": true,
	"print": true, "product": true, "regex.find_n": true, "regex.is_valid": true, "regex.match": true,
	"regex.replace": true, "regex.split": true, "rem": true, "replace": true, "round": true, "semver.compare": true,
	"semver.is_valid": true, "sort": true, "split": true, "sprintf": true, "startswith": true,
	"strings.any_prefix_match": true, "strings.any_suffix_match": true, "strings.count": true,
	"strings.replace_n": true, "strings.reverse": true, "strings.split_n": true, "substring": true, "sum": true,
	"time.add_date": true, "time.parse_duration_ns": true, "time.parse_rfc3339_ns": true, "to_number": true,
	"trim": true, "trim_left": true, "trim_prefix": true, "trim_right": true, "trim_space": true, "trim_suffix": true,
	"type_name": true, "union": true, "upper": true, "uri.is_valid": true,
	"uri.parse": true, "urlquery.decode": true, "urlquery.encode": true, "uuid.parse": true, "walk": true,
}

// capabilities returns the language that policies are written in: Rego v1 and
// the allowed built-ins, no network.
func capabilities() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	c := &ast.Capabilities{
		AllowNet: []string{},
		Features: []string{ast.FeatureRegoV1, ast.FeatureKeywordsInRefs, ast.FeatureTemplateStrings},
	}
	for _, b := range all.Builtins {
		if !allowedBuiltins[b.Name] {
			continue
		}
		if b.Name == ast.AddDate.Name {
			// The form [ns, zone] would look the zone up on the host.
			narrow := *b
			narrow.Decl = types.NewFunction(types.Args(types.N, types.N, types.N, types.N), types.N)
			b = &narrow
		}
		c.Builtins = append(c.Builtins, b)
	}
	return c
}

// knownBuiltins are all built-ins of the engine, to tell a forbidden one from
// a misspelt one.
func knownBuiltins() map[string]bool {
	known := map[string]bool{}
	for _, b := range ast.CapabilitiesForThisVersion().Builtins {
		known[b.Name] = true
	}
	return known
}

// allowedNames lists the allowed built-ins in order.
func allowedNames() []string { return slices.Sorted(maps.Keys(allowedBuiltins)) }
