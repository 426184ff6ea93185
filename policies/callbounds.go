package policies

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Bounds of what one call of a built-in takes, everything in it counted as often
// as it stands there: the engine cannot be stopped inside a call, so what a call
// may cost has to be known before.
const (
	maxCallValues = 200_000 // values
	maxCallText   = 1 << 20 // bytes of strings and numbers
	maxCallDigits = 1_000   // characters of one number
)

// boundedCalls are the built-ins whose cost or result grows with all that is in
// their operands. The others look at a part, or ask at every step whether the
// deadline is over, or make no more than they were given.
var boundedCalls = []string{
	"array.concat", "array.flatten", "base64.encode", "base64url.encode", "base64url.encode_no_pad", "concat",
	"div", "format_int", "hex.encode", "internal.template_string", "json.filter", "json.marshal", "json.remove",
	"json.unmarshal", "minus", "mul", "object.subset", "object.union", "object.union_n", "plus", "product",
	"regex.find_n", "regex.match", "regex.replace", "regex.split", "rem", "replace", "sort", "split", "sprintf",
	"strings.replace_n", "sum", "urlquery.encode",
}

var errOperands = errors.New("the operands are too large for one call")

// callsAreBounded puts the bounds into the engine's table of functions, which
// the whole process shares, before anything can be evaluated. Within the bounds
// the functions are the stock ones, so that other Rego tools agree.
var callsAreBounded = boundCalls()

func boundCalls() bool {
	for _, name := range boundedCalls {
		call := topdown.GetBuiltin(name)
		topdown.RegisterBuiltinFunc(name, func(c topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			m := measure{values: maxCallValues, text: maxCallText}
			for _, t := range operands {
				if !m.fits(t) {
					return errOperands
				}
			}
			return call(c, operands, iter)
		})
	}
	return true
}

// measure is what is left of the bounds.
type measure struct{ values, text int }

// fits takes a term off the bounds and reports whether it was within them.
func (m *measure) fits(t *ast.Term) bool {
	if m.values--; m.values < 0 {
		return false
	}
	every := func(t *ast.Term) bool { return !m.fits(t) }
	switch v := t.Value.(type) {
	case ast.String:
		m.text -= len(v)
	case ast.Number:
		if m.text -= len(v); len(v) > maxCallDigits {
			return false
		}
	case *ast.Array:
		return v.Len() <= m.values && !v.Until(every)
	case ast.Set:
		return v.Len() <= m.values && !v.Until(every)
	case ast.Object:
		return v.Len() <= m.values && !v.Until(func(key, value *ast.Term) bool { return every(key) || every(value) })
	}
	return m.text >= 0
}
