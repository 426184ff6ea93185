package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker/cimd"
)

// maxRivals bounds how many other policies' denials are looked into.
const maxRivals = 32

// refusals evaluates every denial that could stand against an offer: of the
// guardrails, of the policy itself and of all that match too. refused is one
// that always stands.
func (a *asking) refusals(s *subject, o offer) (left outcome, refused *Condition) {
	if g := a.set.guardrails; g != nil {
		v := verdictOn{subject: s, facts: o.facts, policy: g, view: a.sight(s, nil, true), covers: true, always: true}
		if refused = a.deny(v, &left); refused != nil {
			return left, refused
		}
	}
	if s.policy.mode == modeEnforce {
		v := verdictOn{subject: s, facts: o.facts, policy: s.policy, view: a.sight(s, s.match().row(), true), covers: true, always: true}
		if refused = a.deny(v, &left); refused != nil {
			return left, refused
		}
	}
	looked := 0
	for _, r := range s.rivals {
		if r.mode != modeEnforce || !r.denies() {
			continue
		}
		if looked++; looked > maxRivals {
			left.doubt(fmt.Sprintf("more than %d other policies match some of its clients; their denials were not all looked into", maxRivals))
			break
		}
		always, when, why := a.applies(s, r)
		left.doubt(why)
		if !always && when == "" {
			continue
		}
		row, known := r.row()
		v := verdictOn{subject: s, facts: o.facts, policy: r.policy, view: a.sight(s, row, known), covers: r.covers, always: always, when: when}
		if refused = a.deny(v, &left); refused != nil {
			return left, refused
		}
	}
	return left, nil
}

// denies reports whether a policy has denials of a phase before the refresh.
func (p *policy) denies() bool {
	return p.rules["deny"] != nil || p.rules["deny_document"] != nil || p.rules["deny_user"] != nil
}

// verdictOn is one policy's denials about one subject.
type verdictOn struct {
	*subject
	facts  grantFacts
	policy *policy // whose denials
	view   *sight
	covers bool   // the policy matches every identifier of the subject
	always bool   // and its rule applies holds for every request
	when   string // else: what must hold
}

// deny adds the conditions on which a denial stands, or returns one that
// always does.
func (a *asking) deny(v verdictOn, left *outcome) *Condition {
	for _, name := range denialRules[:3] {
		r := v.policy.rules[name]
		if r == nil {
			continue
		}
		res := a.residue(r, v.view, nil)
		if res.gaveUp != "" {
			left.doubt(fmt.Sprintf("%s of policy %s: %s (%s)", name, v.policy.name, res.gaveUp, r.at(r.line)))
		}
		for _, w := range res.ways {
			rest, holds := v.facts.settle(w.rest, res.support)
			if !holds {
				continue
			}
			c := r.denial(v.policy.name, w, rest)
			waived, except := a.waived(v, c.Code)
			if waived {
				continue
			}
			if len(rest) == 0 && v.covers && v.always && except == "" {
				c.Kind = ConditionRefused
				return &c
			}
			c.Text = strings.Join(slices.DeleteFunc([]string{v.named(), v.when, c.Text, except}, func(s string) bool { return s == "" }), "; ")
			left.demand(c)
			if len(left.conds) > maxWays {
				left.doubt("more denials could stand against it than are shown")
				return nil
			}
		}
	}
	return nil
}

// named says that the policy takes only some of the subject's identifiers.
func (v verdictOn) named() string {
	if v.covers {
		return ""
	}
	return "policy " + v.policy.name + " matches the client too"
}

// waived reports whether the guardrails waive a denial for every identifier of
// the subject; except names some for which they do.
func (a *asking) waived(v verdictOn, code string) (all bool, except string) {
	g := a.set.guardrails
	if g == nil || v.policy == g {
		return false, ""
	}
	client := v.view.known[fieldOf("client_id")]
	for _, w := range g.waivers {
		if w.policy != v.policy.name || !a.q.At.Before(w.expires) || code != "" && w.code != code {
			continue
		}
		id, err := cimd.Parse(w.clientID)
		switch {
		case err != nil || client != nil && client.Value.Compare(ast.String(w.clientID)) != 0:
		case client != nil && code != "":
			return true, ""
		case v.coarse || v.where == nil || v.where.touches(patternOf(id)):
			except = "the guardrails do not waive it for the client"
		}
	}
	return false, except
}
