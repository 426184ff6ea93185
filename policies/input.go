package policies

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
)

// question is the input of one decision as the engine takes it. The pairs are
// shared by all policies; row and effective are put in per policy and step.
type question struct {
	keys  inputKeys
	pairs [][2]*ast.Term
	plain *ast.Term // the input of a policy without a row
	row   int       // position of row in pairs
	eff   int       // position of effective, or -1 before phase document
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

// newQuestion turns in into a total input: every member of its phase is
// present, slices and maps that are nil as their typed empty value, row as
// null, members of later phases left out.
func (s inputKeys) newQuestion(in broker.Input) (*question, error) {
	q := &question{eff: -1, keys: s}
	later := broker.MembersBefore(in.Phase)
	v := reflect.ValueOf(in)
	keys := s[v.Type()]
	for i := range v.NumField() {
		name := string(keys[i].Value.(ast.String))
		if slices.Contains(later, name) {
			continue
		}
		term := ast.NullTerm()
		if name == "row" {
			q.row = len(q.pairs)
		} else {
			var err error
			if term, err = s.toTerm(v.Field(i)); err != nil {
				return nil, fmt.Errorf("input.%s: %w", name, err)
			}
		}
		if name == "effective" {
			q.eff = len(q.pairs)
		}
		q.pairs = append(q.pairs, [2]*ast.Term{keys[i], term})
	}
	q.plain = ast.ObjectTerm(q.pairs...)
	return q, nil
}

// setEffective puts the outcome of the negotiation into the input.
func (q *question) setEffective(e broker.Effective) error {
	if q.eff < 0 {
		return nil
	}
	term, err := q.keys.toTerm(reflect.ValueOf(e))
	if err != nil {
		return fmt.Errorf("input.effective: %w", err)
	}
	q.pairs[q.eff][1] = term
	q.plain = ast.ObjectTerm(q.pairs...)
	return nil
}

// input returns the input for a policy that matched by row, which may be nil.
func (q *question) input(r *row) (*ast.Term, error) {
	if r == nil {
		return q.plain, nil
	}
	v, err := ast.InterfaceToValue(r.member())
	if err != nil {
		return nil, fmt.Errorf("input.row: %w", err)
	}
	pairs := slices.Clone(q.pairs)
	pairs[q.row][1] = ast.NewTerm(v)
	return ast.ObjectTerm(pairs...), nil
}

// toTerm writes a Go value as the engine's.
func (s inputKeys) toTerm(v reflect.Value) (*ast.Term, error) {
	if t, ok := v.Interface().(time.Time); ok {
		return ast.StringTerm(t.UTC().Format(time.RFC3339)), nil
	}
	switch v.Kind() {
	case reflect.Struct:
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
