package policies

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// checkNever refuses conditions that hold for no request, because input is
// total: a denial behind one never refuses. The type checker of the engine
// finds comparisons with a value of another type; these are what it lets pass.
// schema is of the input, as far as it is total.
func (p *pkg) checkNever(schema map[string]any, out *report) {
	for _, r := range p.module.Rules {
		ast.NewGenericVisitor(func(x any) bool {
			e, ok := x.(*ast.Expr)
			if !ok {
				return false
			}
			if why, remedy := p.never(schema, e); why != "" {
				out.fail(p.file, exprLine(e, r), "never_holds", remedy, "package %s: %s", p.name, why)
			}
			return false
		}).Walk(r)
	}
}

func exprLine(e *ast.Expr, r *ast.Rule) int {
	if e.Location != nil {
		return e.Location.Row
	}
	return r.Location.Row
}

// never says why an expression holds for no request.
func (p *pkg) never(schema map[string]any, e *ast.Expr) (why, remedy string) {
	if e.Negated {
		t, ok := e.Terms.(*ast.Term)
		if !ok {
			return "", ""
		}
		ref := asRef(t)
		if ref == nil {
			return "", ""
		}
		ref = p.spelledOut(ref)
		switch typ := totalType(schema, ref); typ {
		case "", "boolean":
			return "", ""
		case "array":
			return "not " + ref.String() + " never holds: the list is always there, empty when nothing is known", "write count(" + ref.String() + ") == 0"
		case "string":
			return "not " + ref.String() + " never holds: the text is always there, empty when nothing is known", "write " + ref.String() + ` == ""`
		default:
			return "not " + ref.String() + " never holds: it is always there", "ask for one of its members"
		}
	}
	if ref := p.comparedWithNull(e); ref != nil && totalType(schema, ref) != "" {
		return ref.String() + " is never null: what is not known is the empty value of its type", `compare with "", [] or false`
	}
	return "", ""
}

// comparedWithNull returns the reference that an expression wants to be null.
func (p *pkg) comparedWithNull(e *ast.Expr) ast.Ref {
	terms, ok := e.Terms.([]*ast.Term)
	if !ok {
		return nil
	}
	isNull := len(terms) == 2 && terms[0].String() == ast.IsNull.Name
	if len(terms) == 3 && (e.IsEquality() || terms[0].String() == ast.Equal.Name) {
		for _, t := range terms[1:] {
			_, null := t.Value.(ast.Null)
			isNull = isNull || null
		}
	}
	if !isNull {
		return nil
	}
	for _, t := range terms[1:] {
		if ref := asRef(t); ref != nil {
			return p.spelledOut(ref)
		}
	}
	return nil
}

// asRef reads a term as a reference; a bare name, of an import perhaps, is one.
func asRef(t *ast.Term) ast.Ref {
	switch v := t.Value.(type) {
	case ast.Ref:
		return v
	case ast.Var:
		return ast.Ref{t}
	}
	return nil
}

// totalType returns the JSON type of a member of the input that is there in
// every request of its phase, "" for any other reference.
func totalType(schema map[string]any, ref ast.Ref) string {
	path := stringPath(ref)
	if !ref.HasPrefix(ast.InputRootRef) || len(path) == 0 || len(path) != len(ref)-1 {
		return ""
	}
	node := schema
	for _, name := range path {
		props, _ := node["properties"].(map[string]any)
		next, ok := props[name].(map[string]any)
		if !ok {
			return ""
		}
		node = next
	}
	typ, _ := node["type"].(string)
	return typ
}

// checkOpenings warns of ways to write a rule that let in when something is
// missing or that refuse nobody. Which of them people write is from their
// policies; what a helper means cannot be known in general.
func (p *pkg) checkOpenings(out *report) {
	opens := map[string]int{}
	for _, r := range p.module.Rules {
		if r.Default && len(r.Head.Args) == 0 && r.Head.Value != nil && r.Head.Value.Equal(ast.BooleanTerm(true)) {
			opens[r.Head.Name.String()] = r.Location.Row
		}
	}
	for _, r := range p.module.Rules {
		name := r.Head.Name.String()
		if p.kind.specs()[name].shape == shapeSet && slices.ContainsFunc(r.Body, constantlyFalse) {
			out.warn(p.file, r.Location.Row, "denial_idle", "delete it, or set the mode of the policy to shadow", "package %s: this %s never holds", p.name, name)
		}
		p.checkDefaults(r, opens, out)
	}
	if line := opens["applies"]; line > 0 && p.rules["applies"] != nil {
		out.warn(p.file, line, "default_opens", "leave the default out: an undefined applies does not match", "package %s: applies is true whenever its condition cannot be known", p.name)
	}
}

// checkDefaults warns where a helper that is true by default switches a denial
// off or opens settings.
func (p *pkg) checkDefaults(r *ast.Rule, opens map[string]int, out *report) {
	settings := r.Head.Name == "settings" || r.Head.Name == "ceiling"
	ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case *ast.Expr:
			if t, ok := x.Terms.(*ast.Term); ok && x.Negated {
				p.warnOpen(helperName(t), opens, "a denial behind not never holds then", out)
			}
		case *ast.Term:
			if settings {
				p.warnOpen(helperName(x), opens, "the settings are as if the condition held", out)
			}
		}
		return false
	}).Walk(r)
}

func (p *pkg) warnOpen(name string, opens map[string]int, what string, out *report) {
	if line := opens[name]; line > 0 {
		out.warn(p.file, line, "default_opens", "let the default be false and write what makes it true",
			"package %s: %s is true whenever its condition cannot be known; %s", p.name, name, what)
	}
}

// helperName is the rule of the same package that a term refers to.
func helperName(t *ast.Term) string {
	switch v := t.Value.(type) {
	case ast.Var:
		return string(v)
	case ast.Ref:
		if name, ok := v[0].Value.(ast.Var); ok && len(v) == 1 {
			return string(name)
		}
	}
	return ""
}

// constantlyFalse reports whether an expression is false as written.
func constantlyFalse(e *ast.Expr) bool {
	switch t := e.Terms.(type) {
	case *ast.Term:
		b, ok := t.Value.(ast.Boolean)
		return ok && bool(b) == e.Negated
	case []*ast.Term:
		if len(t) == 3 && !e.Negated && (e.IsEquality() || t[0].String() == ast.Equal.Name) && scalar(t[1]) && scalar(t[2]) {
			return !t[1].Equal(t[2])
		}
	}
	return false
}

func scalar(t *ast.Term) bool {
	switch t.Value.(type) {
	case ast.Boolean, ast.Number, ast.String, ast.Null:
		return true
	}
	return false
}
