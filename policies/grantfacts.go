package policies

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// grantFacts is what is known of a decision that grants what is asked, beyond
// the members of the input that are known as a whole.
type grantFacts struct {
	lists map[string]*bounds // of input.effective: what they hold at least and at most
	where *pattern           // that the client matches; nil: any
}

// bounds of a list: nil for most means no bound.
type bounds struct{ least, most []string }

// factsOf reads them from the question and the terms; unsure are paths of
// settings that are not known.
func factsOf(q *WhoCanQuery, t *terms, unsure []string, where *pattern) grantFacts {
	sure := func(path string, list []string) []string {
		if slices.ContainsFunc(unsure, func(u string) bool { return u == "" || u == path || strings.HasPrefix(path, u+".") }) {
			return nil
		}
		return append([]string{}, list...)
	}
	f := map[string]*bounds{
		"scopes":      {least: q.Scopes, most: sure("scopes.ceiling", t.Scopes.Ceiling)},
		"grant_types": {least: append([]string{"authorization_code"}, q.Grants...), most: sure("grant_types", t.GrantTypes)},
		"resources":   {},
	}
	if q.Refresh {
		f["grant_types"].least = append(f["grant_types"].least, "refresh_token")
	}
	methods := &bounds{}
	switch {
	case q.Consent == "skip":
		methods.least, methods.most = []string{"private_key_jwt"}, []string{"private_key_jwt"}
	case q.NoKey:
		methods.least = []string{"none"}
	}
	f["auth_methods"] = methods
	if t.Audiences == nil {
		f["resources"].least = q.spelt()
		return grantFacts{f, where}
	}
	f["resources"].most = sure("audiences", t.Audiences)
	for _, r := range q.spelt() {
		if slices.Contains(t.Audiences, r) {
			f["resources"].least = append(f["resources"].least, r)
		}
	}
	return grantFacts{f, where}
}

// spelt are the resources of the question as the server spells them, which is
// how input.effective has them.
func (q *WhoCanQuery) spelt() []string {
	if q.Offered == nil {
		return q.Resources
	}
	var out []string
	for _, id := range q.Resources {
		for _, r := range q.Offered {
			if broker.SameResource(r.ID, id) {
				out = append(out, r.ID)
			}
		}
	}
	return out
}

// unbounded is f without what the lists hold at most.
func (f grantFacts) unbounded() grantFacts {
	out := grantFacts{map[string]*bounds{}, f.where}
	for name, b := range f.lists {
		out.lists[name] = &bounds{least: b.least}
	}
	return out
}

// truth of an expression: unknown is the zero value.
type truth int

const (
	maybe truth = iota
	always
	never
)

func (t truth) not() truth {
	switch t {
	case always:
		return never
	case never:
		return always
	}
	return maybe
}

// settle drops from rest what always holds; holds is false where something
// never does.
func (f grantFacts) settle(rest []*ast.Expr, support map[string][]*ast.Rule) (left []*ast.Expr, holds bool) {
	for _, e := range rest {
		switch f.truth(e, rest, support) {
		case never:
			return nil, false
		case maybe:
			left = append(left, e)
		}
	}
	return left, true
}

func (f grantFacts) truth(e *ast.Expr, body []*ast.Expr, support map[string][]*ast.Rule) truth {
	t := f.positive(e, body, support)
	if e.Negated {
		return t.not()
	}
	return t
}

// positive is the truth of e without its negation.
func (f grantFacts) positive(e *ast.Expr, body []*ast.Expr, support map[string][]*ast.Rule) truth {
	if t, ok := e.Terms.(*ast.Term); ok {
		return f.supported(t, support)
	}
	if !e.IsCall() || len(e.With) > 0 {
		return maybe
	}
	a, b := e.Operand(0), e.Operand(1)
	switch {
	case a == nil || b == nil || len(e.Operands()) != 2:
		return maybe
	case e.Operator().String() == "internal.member_2":
		if f.isNoneOf(a, b) {
			return never
		}
		return f.contains(b, a)
	case e.Operator().String() == "neq":
		if f.isNot(a, b) || f.isNot(b, a) {
			return always
		}
	case e.IsEquality():
		if f.isNot(a, b) || f.isNot(b, a) {
			return never
		}
		for _, pair := range [][2]*ast.Term{{a, b}, {b, a}} {
			if list, free := element(pair[0], e, body); list != nil {
				if got := f.contains(list, pair[1]); got != always || free {
					return got
				}
			}
		}
	}
	return maybe
}

// isNot reports whether a member of the client cannot have a value, because the
// pattern leaves no room for it.
func (f grantFacts) isNot(member, value *ast.Term) bool {
	s, isText := value.Value.(ast.String)
	if !isText || f.where == nil || f.where.opaque {
		return false
	}
	switch {
	case member.Value.Compare(clientIDRef) == 0:
		id, err := cimd.Parse(string(s))
		return err != nil || !f.where.touches(patternOf(id))
	case member.Value.Compare(clientHostRef) == 0:
		return string(s) != f.where.host && !f.where.wild || f.where.wild && !strings.HasSuffix(string(s), "."+f.where.host)
	}
	return false
}

// isNoneOf is isNot for every element of a collection.
func (f grantFacts) isNoneOf(member, list *ast.Term) bool {
	no := func(t *ast.Term) bool { return f.isNot(member, t) }
	switch v := list.Value.(type) {
	case ast.Set:
		return !v.Until(func(t *ast.Term) bool { return !no(t) })
	case *ast.Array:
		return !v.Until(func(t *ast.Term) bool { return !no(t) })
	}
	return false
}

var (
	clientIDRef   = ast.InputRootRef.Append(ast.StringTerm("client_id"))
	clientHostRef = ast.InputRootRef.Append(ast.StringTerm("client")).Append(ast.StringTerm("host"))
)

// element reads t as any element of a list; free tells that nothing else in
// the body says which.
func element(t *ast.Term, e *ast.Expr, body []*ast.Expr) (list *ast.Term, free bool) {
	ref, ok := t.Value.(ast.Ref)
	if !ok || len(ref) < 2 {
		return nil, false
	}
	v, ok := ref[len(ref)-1].Value.(ast.Var)
	if !ok {
		return nil, false
	}
	free = true
	for _, other := range body {
		if other != e {
			ast.WalkVars(other, func(x ast.Var) bool {
				free = free && x != v
				return false
			})
		}
	}
	return ast.NewTerm(ref[:len(ref)-1]), free
}

// contains says whether a list of input.effective holds a value.
func (f grantFacts) contains(list, value *ast.Term) truth {
	ref, isRef := list.Value.(ast.Ref)
	s, isText := value.Value.(ast.String)
	if !isRef || !isText || len(ref) != 3 || !ref.HasPrefix(effectiveRef) {
		return maybe
	}
	name, _ := ref[2].Value.(ast.String)
	b := f.lists[string(name)]
	switch {
	case b == nil:
		return maybe
	case slices.Contains(b.least, string(s)):
		return always
	case b.most != nil && !slices.Contains(b.most, string(s)):
		return never
	}
	return maybe
}

var effectiveRef = ast.InputRootRef.Append(ast.StringTerm("effective"))

// supported is the truth of a reference to rules that partial evaluation made
// for a negation: they are true or undefined.
func (f grantFacts) supported(t *ast.Term, support map[string][]*ast.Rule) truth {
	ref, ok := t.Value.(ast.Ref)
	if !ok || !strings.HasPrefix(ref.String(), "data.partial.__not") {
		return maybe
	}
	rules := support[ref.String()]
	out := never
	for _, r := range rules {
		if r.Else != nil || r.Default || len(r.Head.Args) > 0 || len(rules) > maxWays {
			return maybe
		}
		left, holds := f.settle(r.Body, nil)
		switch {
		case holds && len(left) == 0:
			return always
		case holds:
			out = maybe
		}
	}
	return out
}
