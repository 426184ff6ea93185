package policies

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of what a rule may return, so that a policy cannot exhaust memory or
// the decision log.
const (
	maxValues   = 2000      // values in one result
	maxBytes    = 128 << 10 // bytes of all strings in one result
	maxDenials  = 64        // elements of one deny or warn set
	maxPolicies = 64        // policies that match one client
)

var errHuge = errors.New("the result is too large")

// bounded turns a result of the engine into the types of JSON; a set becomes a
// sorted list.
type bounded struct{ values, bytes int }

func fromTerm(t *ast.Term) (any, error) {
	b := &bounded{values: maxValues, bytes: maxBytes}
	return b.value(t)
}

func (b *bounded) value(t *ast.Term) (any, error) {
	if b.values--; b.values < 0 {
		return nil, errHuge
	}
	switch v := t.Value.(type) {
	case ast.Null:
		return nil, nil
	case ast.Boolean:
		return bool(v), nil
	case ast.Number:
		return json.Number(v), nil
	case ast.String:
		if b.bytes -= len(v); b.bytes < 0 {
			return nil, errHuge
		}
		return string(v), nil
	case *ast.Array:
		return b.list(v.Len(), v.Iter)
	case ast.Set:
		return b.list(v.Len(), v.Iter)
	case ast.Object:
		return b.object(v)
	}
	return nil, fmt.Errorf("the result holds a %s", ast.ValueName(t.Value))
}

func (b *bounded) list(n int, each func(func(*ast.Term) error) error) (any, error) {
	if n > b.values {
		return nil, errHuge
	}
	out := make([]any, 0, n)
	err := each(func(t *ast.Term) error {
		v, err := b.value(t)
		out = append(out, v)
		return err
	})
	return out, err
}

func (b *bounded) object(o ast.Object) (any, error) {
	if o.Len() > b.values {
		return nil, errHuge
	}
	out := make(map[string]any, o.Len())
	err := o.Iter(func(k, t *ast.Term) error {
		key, ok := k.Value.(ast.String)
		if !ok {
			return fmt.Errorf("the key %s is no string", clip(k.String(), 80))
		}
		if b.bytes -= len(key); b.bytes < 0 {
			return errHuge
		}
		v, err := b.value(t)
		out[string(key)] = v
		return err
	})
	return out, err
}
