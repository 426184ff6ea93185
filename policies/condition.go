package policies

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Kinds of a Condition.
const (
	ConditionWhen    = "when"    // must hold
	ConditionUnless  = "unless"  // must not hold: it refuses, or another policy decides
	ConditionRefused = "refused" // nothing can be done: it always refuses
)

// Condition is what is left to be true or false before something is granted.
type Condition struct {
	Kind   string // a constant above
	Text   string // Rego as written where it can be told, else a sentence; "" where Rule holds always
	Policy string // whose rule it is; guardrails for the guardrails
	Rule   string // of Policy: applies, settings, deny_user …; "" where none is
	Code   string // of the denial, "" where it is computed
	Where  string // file and line
}

// String is one line for people.
func (c Condition) String() string {
	s := c.Kind
	if c.Code != "" {
		s += " " + c.Rule + " " + c.Code
	} else if c.Rule != "" && c.Rule != "settings" {
		s += " " + c.Rule
	}
	if c.Where != "" && c.Rule != "" {
		s += " (" + c.Where + ")"
	}
	if c.Text == "" {
		return s
	}
	if s == c.Kind {
		return s + " " + c.Text
	}
	return s + ": " + c.Text
}

// maxCondition bounds the text of one condition.
const maxCondition = 400

// generated are names that partial evaluation makes up; nobody can read them.
var generated = regexp.MustCompile(`__\w+__|data\.partial\.`)

var spaces = regexp.MustCompile(`\s+`)

// asWritten is a body as people read it.
func asWritten(rest []*ast.Expr) string {
	var out []string
	for _, e := range rest {
		if namesOnly(e) || isDenial(e) {
			continue
		}
		s := writtenExpr(e)
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return clip(strings.Join(out, "; "), maxCondition)
}

// writtenExpr shows what is left of an expression, or where that would need
// names that nobody knows, the line of the policy that it comes from.
func writtenExpr(e *ast.Expr) string {
	if s := plainly(e); s != "" && !generated.MatchString(s) {
		return s
	}
	if e.Location != nil && len(e.Location.Text) > 0 {
		// What is negated twice is left without a not, at the place of one.
		text := strings.TrimPrefix(spaces.ReplaceAllString(string(e.Location.Text), " "), "not ")
		if e.Negated {
			return "not " + text
		}
		return text
	}
	return generated.ReplaceAllString(e.String(), "_")
}

// plainly writes an expression as an author would: a call whose result is
// compared as a comparison, a comparison with true as what is compared.
func plainly(e *ast.Expr) string {
	text := func(x any) string {
		b, err := format.Ast(x)
		if err != nil {
			return ""
		}
		return spaces.ReplaceAllString(strings.TrimSpace(string(b)), " ")
	}
	not := ""
	if e.Negated {
		not = "not "
	}
	if len(e.With) > 0 || !e.IsCall() {
		return text(e.Copy())
	}
	args := e.Operands()
	if e.IsEquality() && len(args) == 2 {
		for i, a := range args {
			if a.Value.Compare(ast.Boolean(true)) == 0 {
				return not + text(args[1-i].Copy())
			}
		}
		if ast.IsConstant(args[0].Value) {
			args = []*ast.Term{args[1], args[0]}
		}
		return not + text(args[0].Copy()) + " == " + text(args[1].Copy())
	}
	b := ast.BuiltinMap[e.Operator().String()]
	if b == nil || b.Infix != "" || len(args) != b.Decl.Arity()+1 {
		return text(e.Copy())
	}
	call := ast.CallTerm(append([]*ast.Term{e.OperatorTerm()}, args[:len(args)-1]...)...)
	return not + text(call.Copy()) + " == " + text(args[len(args)-1].Copy())
}

// isDenial reports whether e only makes the denial itself.
func isDenial(e *ast.Expr) bool {
	if e.Negated || !e.IsEquality() || len(e.Operands()) != 2 {
		return false
	}
	return slices.ContainsFunc(e.Operands(), func(t *ast.Term) bool {
		o, ok := t.Value.(ast.Object)
		return ok && o.Get(ast.StringTerm("code")) != nil && o.Get(ast.StringTerm("message")) != nil
	})
}

// namesOnly reports whether e only gives a name to a comprehension, which always
// has a value; what is done with it is another expression.
func namesOnly(e *ast.Expr) bool {
	if e.Negated || !e.IsEquality() || len(e.Operands()) != 2 {
		return false
	}
	_, isVar := e.Operand(0).Value.(ast.Var)
	switch e.Operand(1).Value.(type) {
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return isVar
	}
	return false
}

// whereOf is the first place in a file that the body comes from.
func whereOf(rest []*ast.Expr, otherwise string) string {
	for _, e := range rest {
		if e.Location != nil && e.Location.File != "" {
			return fmt.Sprintf("%s:%d", e.Location.File, e.Location.Row)
		}
	}
	return otherwise
}

// denial makes a condition of one way for a denial to hold.
func (r *rule) denial(policy string, w way, left []*ast.Expr) Condition {
	c := Condition{Kind: ConditionUnless, Policy: policy, Rule: r.name, Code: codeOf(w.value), Text: asWritten(left)}
	line := r.lines[c.Code]
	if line == 0 {
		c.Where = whereOf(left, r.at(r.line))
		return c
	}
	c.Where = r.at(line)
	return c
}

// codeOf reads the code of a denial, "" where it depends on the request.
func codeOf(value *ast.Term) string {
	if value == nil {
		return ""
	}
	o, ok := value.Value.(ast.Object)
	if !ok {
		return ""
	}
	if t := o.Get(ast.StringTerm("code")); t != nil {
		if s, ok := t.Value.(ast.String); ok {
			return string(s)
		}
	}
	return ""
}
