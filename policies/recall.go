package policies

import "github.com/open-policy-agent/opa/v1/ast"

// recalled is the last question that a rule answered. Built-ins are pure and
// data does not change, so an equal question has the same answer: it comes in
// the next phase of a flow, and from the next client when the rule reads
// nothing of clients. Neither term changes any more.
type recalled struct {
	input, answer *ast.Term // answer is nil for an undefined rule
}

// recall returns the answer to the last question if input is the same.
func (r *rule) recall(input *ast.Term) (*ast.Term, bool) {
	last := r.last.Load()
	if last == nil || last.input.Hash() != input.Hash() || !identical(last.input.Value, input.Value) {
		return nil, false
	}
	return last.answer, true
}

// identical is stricter than the engine's equality, to which 1 and 1.0 are the
// same although a rule can write them out. It answers true for what input is
// made of alone: no sets, and objects with strings as keys.
func identical(a, b ast.Value) bool {
	switch a := a.(type) {
	case ast.Null:
		_, ok := b.(ast.Null)
		return ok
	case ast.Boolean:
		other, ok := b.(ast.Boolean)
		return ok && a == other
	case ast.String:
		other, ok := b.(ast.String)
		return ok && a == other
	case ast.Number:
		other, ok := b.(ast.Number)
		return ok && a == other
	case *ast.Array:
		other, ok := b.(*ast.Array)
		if !ok || a.Len() != other.Len() {
			return false
		}
		for i := range a.Len() {
			if !identical(a.Elem(i).Value, other.Elem(i).Value) {
				return false
			}
		}
		return true
	case ast.Object:
		other, ok := b.(ast.Object)
		if !ok || a.Len() != other.Len() {
			return false
		}
		return !a.Until(func(key, value *ast.Term) bool {
			_, text := key.Value.(ast.String)
			found := other.Get(key)
			return !text || found == nil || !identical(value.Value, found.Value)
		})
	}
	return false
}
