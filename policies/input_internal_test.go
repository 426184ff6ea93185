package policies

import (
	"reflect"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
)

// Members of later phases are not in the input at all: the static checks keep
// policies from reading them, and nothing is there if one should slip through.
func TestInputLeavesOutLaterMembers(t *testing.T) {
	for _, phase := range phases {
		typ := reflect.TypeFor[broker.Input]()
		all := make([]int, typ.NumField())
		for i := range all {
			all[i] = i
		}
		in, err := newInputKeys().newQuestion(broker.Input{Phase: phase}).input(all, nil)
		if err != nil {
			t.Fatal(err)
		}
		later := broker.MembersBefore(phase)
		for i := range typ.NumField() {
			name := jsonName(typ.Field(i))
			has := in.Value.(ast.Object).Get(ast.StringTerm(name)) != nil
			if has == slices.Contains(later, name) {
				t.Errorf("phase %s: member %s present %v", phase, name, has)
			}
		}
	}
}
