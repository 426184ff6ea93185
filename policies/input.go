package policies

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
)

// question is the input of one decision as the engine takes it. A member is
// written when a rule that reads it is asked, once for all rules.
type question struct {
	keys  inputKeys
	in    *broker.Input
	terms []*ast.Term // by field of broker.Input; nil: not read so far
}

// inputKeys holds the names of the input's members as terms, so that they are made
// once and not for every decision.
type inputKeys map[reflect.Type][]*ast.Term

func newInputKeys() inputKeys {
	s := inputKeys{}
	s.add(reflect.TypeFor[broker.Input]())
	return s
}

func (s inputKeys) add(t reflect.Type) {
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() || s[t] != nil {
		return
	}
	s[t] = make([]*ast.Term, t.NumField())
	for i := range t.NumField() {
		s[t][i] = ast.StringTerm(jsonName(t.Field(i)))
		s.add(t.Field(i).Type)
	}
}

// newQuestion makes in the input of a decision, which is total: every member of
// its phase is there for a rule that reads it, slices and maps that are nil as
// their typed empty value, row as null, members of later phases left out.
func (s inputKeys) newQuestion(in broker.Input) *question {
	return &question{keys: s, in: &in, terms: make([]*ast.Term, reflect.TypeFor[broker.Input]().NumField())}
}

// setEffective puts the outcome of the negotiation into the input.
func (q *question) setEffective(e broker.Effective) {
	q.in.Effective, q.terms[effectiveField] = e, nil
}

// Positions of the two members that are not the same in all of one decision.
var (
	rowField       = fieldOf("row")
	effectiveField = fieldOf("effective")
)

// fieldOf is the position of a member in broker.Input, or -1.
func fieldOf(member string) int {
	t := reflect.TypeFor[broker.Input]()
	for i := range t.NumField() {
		if jsonName(t.Field(i)) == member {
			return i
		}
	}
	return -1
}

// input returns what a rule that reads those fields is given, for a policy
// that matched by r, which may be nil. What a rule reads is known at load,
// because bare and dynamic references to input are refused there.
func (q *question) input(fields []int, r *row) (*ast.Term, error) {
	if len(fields) == 0 {
		return ast.InternedEmptyObject, nil
	}
	later, keys := broker.MembersBefore(q.in.Phase), q.keys[reflect.TypeFor[broker.Input]()]
	pairs := make([][2]*ast.Term, 0, len(fields))
	for _, i := range fields {
		if name := string(keys[i].Value.(ast.String)); slices.Contains(later, name) {
			continue
		}
		term, err := q.term(i, r)
		if err != nil {
			return nil, fmt.Errorf("input.%s: %w", string(keys[i].Value.(ast.String)), err)
		}
		pairs = append(pairs, [2]*ast.Term{keys[i], term})
	}
	return ast.ObjectTerm(pairs...), nil
}

// term is one member of the input.
func (q *question) term(i int, r *row) (*ast.Term, error) {
	if i == rowField {
		if r == nil {
			return ast.NullTerm(), nil
		}
		v, err := ast.InterfaceToValue(r.member())
		return ast.NewTerm(v), err
	}
	if q.terms[i] == nil {
		t, err := q.keys.toTerm(reflect.ValueOf(q.in).Elem().Field(i))
		if err != nil {
			return nil, err
		}
		q.terms[i] = t
	}
	return q.terms[i], nil
}

// toTerm writes a Go value as the engine's.
func (s inputKeys) toTerm(v reflect.Value) (*ast.Term, error) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return ast.StringTerm(v.Interface().(time.Time).UTC().Format(time.RFC3339)), nil
		}
		return s.structTerm(v)
	case reflect.Slice:
		if v.Len() == 0 {
			return ast.InternedEmptyArray, nil
		}
		terms := make([]*ast.Term, 0, v.Len())
		for i := range v.Len() {
			t, err := s.toTerm(v.Index(i))
			if err != nil {
				return nil, err
			}
			terms = append(terms, t)
		}
		return ast.ArrayTerm(terms...), nil
	case reflect.Map:
		if v.Len() == 0 {
			return ast.InternedEmptyObject, nil
		}
		m, err := ast.InterfaceToValue(v.Interface())
		if err != nil {
			return nil, err
		}
		return ast.NewTerm(m), nil
	case reflect.String:
		return ast.InternedTerm(v.String()), nil
	case reflect.Bool:
		return ast.InternedTerm(v.Bool()), nil
	default:
		return ast.IntNumberTerm(int(v.Int())), nil
	}
}

func (s inputKeys) structTerm(v reflect.Value) (*ast.Term, error) {
	keys := s[v.Type()]
	pairs := make([][2]*ast.Term, 0, v.NumField())
	for i := range v.NumField() {
		t, err := s.toTerm(v.Field(i))
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, [2]*ast.Term{keys[i], t})
	}
	return ast.ObjectTerm(pairs...), nil
}
