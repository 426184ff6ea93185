package policies

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// digest tells rows with other settings apart.
func (r *row) digest() string {
	b, err := json.Marshal(r.raw)
	if err != nil {
		return fmt.Sprint(r.raw)
	}
	return string(b)
}

// maxPersons bounds how many clients are looked at by themselves, because a rule
// reads who they are.
const maxPersons = 2000

// likeness is the same for subjects with the same answer.
func (a *asking) likeness(s *subject) string {
	var b strings.Builder
	fmt.Fprint(&b, s.policy.name, s.shaded, s.open)
	personal := a.personal(s.policy)
	if s.entry != nil && s.entry.row != nil {
		fmt.Fprint(&b, " row ", s.entry.row.digest())
	}
	if s.where != nil && s.where.opaque {
		b.WriteString(" opaque")
	}
	for _, r := range s.rivals {
		personal = personal || a.personal(r.policy)
		fmt.Fprint(&b, " ", r.name, r.covers)
		for _, e := range r.entries {
			n, _ := outranks(&match{policy: r.policy, entry: e}, s.match())
			fmt.Fprint(&b, n > 0, n == 0, s.where != nil && e.pattern.covers(s.where))
		}
	}
	if g := a.set.guardrails; g != nil {
		personal = personal || a.personal(g) || len(g.waivers) > 0
	}
	if s.coarse = personal && s.id == nil && a.persons >= maxPersons; s.coarse {
		b.WriteString(" coarse")
	} else if personal && s.where != nil {
		a.persons++
		fmt.Fprint(&b, " at ", s.where.text)
		if s.entry != nil && s.entry.row != nil {
			fmt.Fprint(&b, " ", s.entry.row.member())
		}
	}
	return b.String()
}

// personal reports whether a rule of p reads who the client is.
func (a *asking) personal(p *policy) bool {
	for _, r := range p.rules {
		for _, member := range []string{"client", "client_id", "row"} {
			if slices.Contains(r.fields, fieldOf(member)) {
				return true
			}
		}
	}
	return false
}

// unnamed finds scopes that nobody has ever written.
func (a *asking) unnamed() {
	if len(a.q.Scopes) == 0 {
		return
	}
	names := a.set.scopeNames()
	for _, r := range a.q.Offered {
		names = append(names, r.Scopes...)
	}
	for _, s := range a.q.Scopes {
		if !slices.Contains(names, s) {
			a.out.Unnamed = append(a.out.Unnamed, s)
			a.out.Nearest = append(a.out.Nearest, Closest(s, names))
		}
	}
}

// scopeNames are the scopes of every ceiling, and every text of the policies
// whose ceiling depends on the request.
func (s *Set) scopeNames() []string {
	names := s.defaults.strings("scopes.ceiling")
	all := slices.Clone(s.policies)
	for _, p := range []*policy{s.anyone, s.guardrails} {
		if p != nil {
			all = append(all, p)
		}
	}
	for _, p := range all {
		names = append(names, p.settings.strings("scopes.ceiling")...)
		for _, e := range p.entries {
			if e.row != nil {
				names = append(names, e.row.settings.strings("scopes.ceiling")...)
			}
		}
		if p.settings != nil || p.rules[p.settingsRule()] == nil {
			continue
		}
		for _, m := range p.unit.compiler.Modules {
			ast.WalkTerms(m, func(t *ast.Term) bool {
				if text, ok := t.Value.(ast.String); ok {
					names = append(names, string(text))
				}
				return false
			})
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
