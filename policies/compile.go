package policies

import (
	"maps"
	"regexp"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
)

// contractName is how messages call the contract.
const contractName = broker.Contract

// compiled is a unit after the engine has checked it.
type compiled struct {
	*unit
	compiler *ast.Compiler
}

// compile checks modules of a unit against the allowed built-ins and a closed
// input schema.
func (u *unit) compile(modules map[string]*ast.Module, schema map[string]any, out *report) *compiled {
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, schema)
	c := newCompiler().WithSchemas(schemas).WithPathConflictsCheck(func(path []string) (bool, error) {
		return exists(u.base, path), nil
	})
	c.Compile(modules)
	if c.Failed() {
		reportAST(c.Errors, u.source.label+".", out)
		return nil
	}
	return &compiled{unit: u, compiler: c}
}

// compileTests checks the tests together with the modules they test, without a
// schema: a test gives any input.
func (u *unit) compileTests(out *report) {
	if len(u.tests) == 0 {
		return
	}
	all := maps.Clone(u.modules)
	maps.Copy(all, u.tests)
	t := newCompiler()
	t.Compile(all)
	if t.Failed() {
		reportAST(t.Errors, u.source.label+".", out)
	}
}

func newCompiler() *ast.Compiler {
	return ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities()).
		WithDefaultRegoVersion(ast.RegoV1).WithEnablePrintStatements(false)
}

// exists reports whether base data has a value at path.
func exists(base map[string]any, path []string) bool {
	var node any = base
	for _, p := range path {
		m, ok := node.(map[string]any)
		if !ok {
			return true
		}
		if node, ok = m[p]; !ok {
			return false
		}
	}
	return true
}

var undefinedFunction = regexp.MustCompile(`undefined function ([\w.]+)`)

// explainAST gives an error of the engine a code and a remedy.
func explainAST(e *ast.Error) (code, remedy string) {
	if m := undefinedFunction.FindStringSubmatch(e.Message); m != nil {
		if knownBuiltins()[m[1]] {
			return "builtin_not_allowed", "policies are pure: " + m[1] + " reads clock, host, network or chance, or cannot be bounded"
		}
		remedy := didYouMean(m[1], allowedNames())
		if strings.HasPrefix(m[1], "data.") {
			remedy = "see whether the import is spelt as the package, and whether the package has that function"
		}
		return "function_undefined", remedy
	}
	if strings.HasPrefix(e.Message, "undefined ref: input") {
		return "input_unknown", inputRemedy(e)
	}
	if strings.HasPrefix(e.Message, "undefined ref:") {
		return "ref_undefined", inputRemedy(e)
	}
	return e.Code, parseRemedies[e.Message]
}

// parseRemedies are for what the parser says without a remedy.
var parseRemedies = map[string]string{
	"empty module":                                         "delete the file, or begin it with a package",
	"illegal utf-8 character":                              "save the file as UTF-8",
	"`if` keyword is required before rule body":            `policies are Rego v1: write NAME contains X if { … }, or NAME := X if { … }`,
	"`contains` keyword is required for partial set rules": `policies are Rego v1: write NAME contains X if { … }`,
}

// inputRemedy names the members that the schema has where the reference went
// wrong.
func inputRemedy(e *ast.Error) string {
	d, ok := e.Details.(*ast.RefErrInvalidDetail)
	if !ok || d.Pos >= len(d.Ref) {
		return ""
	}
	var have []string
	for _, v := range d.OneOf {
		if s, ok := v.(ast.String); ok {
			have = append(have, string(s))
		}
	}
	if s, ok := d.Ref[d.Pos].Value.(ast.String); ok {
		if r := didYouMean(string(s), have); r != "" {
			return r
		}
	}
	if len(have) == 0 {
		return ""
	}
	return "it has " + strings.Join(have, ", ")
}
