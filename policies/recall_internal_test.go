package policies

import (
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

func TestIdentical(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`null`, `null`, true}, {`null`, `false`, false}, {`true`, `true`, true}, {`true`, `false`, false},
		{`"a"`, `"a"`, true}, {`"a"`, `"b"`, false}, {`"1"`, `1`, false}, {`1`, `1`, true},
		{`1`, `1.0`, false}, {`10`, `1e1`, false}, // equal to the engine, but a rule can write them out
		{`[1, "a"]`, `[1, "a"]`, true}, {`[1, 2]`, `[2, 1]`, false}, {`[1]`, `[1, 2]`, false}, {`[]`, `{}`, false},
		{`{"a": {"b": [1]}}`, `{"a": {"b": [1]}}`, true}, {`{"a": {"b": [1]}}`, `{"a": {"b": [1.0]}}`, false},
		{`{"a": 1}`, `{"b": 1}`, false}, {`{"a": 1}`, `{"a": 1, "b": 1}`, false}, {`{"a": null}`, `{}`, false},
		{`{1}`, `{1}`, false}, // no input has sets
	} {
		if got := identical(ast.MustParseTerm(c.a).Value, ast.MustParseTerm(c.b).Value); got != c.want {
			t.Errorf("identical(%s, %s) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
