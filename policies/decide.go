package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker"
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// decision is one Decide under way.
type decision struct {
	set      *Set
	query    broker.Query
	phase    int // rank
	id       cimd.ID
	question *question

	share   time.Duration // of the deadline, for each policy asked
	guard   *match        // the guardrails, nil without
	matches []*match      // best first
	winners []*match
	terms   terms
	known   bool // the settings could be evaluated in this phase

	named   bool          // a policy that can admit names the client for other requests, or at another hour
	guarded bool          // a denial of the guardrails
	broken  error         // the first evaluation error
	refused *broker.Error // the first refusal of the composition itself
	out     broker.Decision

	trail  *trail   // of the settings; nil unless it is to be explained
	errors []string // every evaluation error, where it is to be explained
}

// match is one policy that matched, with what is left of its share.
type match struct {
	*policy
	entry *entry // nil for admission.anyone and the guardrails
	left  *budget
	told  *budget // a second share, for telling which rule made a denial
	dead  bool    // an evaluation failed: nothing more is asked of it
}

func (m *match) row() *row {
	if m.entry == nil {
		return nil
	}
	return m.entry.row
}

// fail keeps the first evaluation error.
func (d *decision) fail(err error) {
	if d.broken == nil {
		d.broken = err
	}
	if d.query.Explain {
		d.errors = append(d.errors, err.Error())
	}
}

// refuse keeps the first refusal.
func (d *decision) refuse(err *broker.Error) {
	if d.refused == nil {
		d.refused = err
	}
}

// ask evaluates one rule of a policy within its share. Where it fails, the
// policy is broken for this decision.
func (d *decision) ask(ctx context.Context, m *match, name string) (*ast.Term, bool) {
	if m.dead {
		return nil, false
	}
	r := m.rules[name]
	input, err := d.question.input(r.fields, m.row())
	if err == nil {
		if t, ok := r.recall(input); ok {
			return t, true
		}
		if m.left == nil {
			m.left = newBudget(ctx, d.share)
		}
		m.left.last = time.Now()
		var t *ast.Term
		if t, err = r.eval(ctx, input, m.left); err == nil {
			r.last.Store(&recalled{input, t})
			return t, true
		}
	}
	d.broke(m, err)
	return nil, false
}

// broke records that a policy cannot be evaluated.
func (d *decision) broke(m *match, err error) {
	m.dead = true
	d.fail(fmt.Errorf("policy %s: %w", m.name, err))
}

// match finds the policies that match, one entry each, best first.
func (d *decision) match(ctx context.Context) {
	s := d.set
	found := map[*policy]*entry{}
	for _, e := range s.index.lookup(d.id) {
		if e.row != nil && e.row.expired(d.query.Input.Time) {
			continue
		}
		if old := found[e.policy]; old != nil {
			if n, _ := e.pattern.compare(old.pattern); n <= 0 {
				continue
			}
		}
		found[e.policy] = e
	}
	for p, e := range found {
		d.matches = append(d.matches, &match{policy: p, entry: e})
	}
	if s.anyone != nil {
		d.matches = append(d.matches, &match{policy: s.anyone})
	}
	d.matches = slices.DeleteFunc(d.matches, func(m *match) bool {
		return !slices.Contains(m.registrations, string(d.query.Input.Registration))
	})
	slices.SortFunc(d.matches, func(a, b *match) int {
		if n, _ := outranks(a, b); n != 0 {
			return -n
		}
		return strings.Compare(a.name, b.name)
	})
	asked := len(d.matches)
	if s.guardrails != nil {
		d.guard = &match{policy: s.guardrails}
		asked++
	}
	d.share = s.deadline / time.Duration(max(asked, 1))
	if len(d.matches) > maxPolicies {
		d.fail(fmt.Errorf("%d policies match, at most %d are asked", len(d.matches), maxPolicies))
		d.matches = nil
		return
	}
	d.matches = slices.DeleteFunc(d.matches, func(m *match) bool { return !d.applies(ctx, m) })
	d.list()
}

// applies asks the extra condition; what is broken stays, so that its error
// counts.
func (d *decision) applies(ctx context.Context, m *match) bool {
	r := m.rules["applies"]
	if r == nil || m.mode == modeShadow {
		return true
	}
	t, ok := d.ask(ctx, m, r.name)
	if !ok {
		return true
	}
	if t != nil {
		b, isBool := t.Value.(ast.Boolean)
		if !isBool {
			d.broke(m, &evalError{at: r.at(r.line), err: errors.New("applies is neither true nor false")})
			return true
		}
		if bool(b) {
			return true
		}
	}
	d.named = d.named || m.ranks() && r.passing()
	return false
}

// outranks orders two policies: positive when a ranks over b.
func outranks(a, b *match) (n int, why string) {
	switch {
	case a.kind != b.kind:
		return one(b.kind == kindAnyone) - one(a.kind == kindAnyone), "admission.anyone ranks last"
	case a.priority != b.priority:
		return a.priority - b.priority, fmt.Sprintf("priority %d over %d", a.priority, b.priority)
	case a.entry == nil || b.entry == nil:
		return 0, ""
	}
	return a.entry.pattern.compare(b.entry.pattern)
}

// list names the candidates and the winners.
func (d *decision) list() {
	for _, m := range d.matches {
		c := decisionlog.Candidate{Policy: m.name, Title: m.title, Pattern: "(every valid client identifier)",
			Priority: m.priority, Mode: m.mode, Settles: m.ranks()}
		if m.entry != nil {
			c.Pattern = m.entry.pattern.text
		}
		if r := m.row(); r != nil {
			c.Row = r.name()
		}
		d.out.Candidates = append(d.out.Candidates, c)
		if !m.ranks() {
			continue
		}
		if len(d.winners) > 0 {
			if n, why := outranks(d.winners[0], m); n != 0 {
				if d.out.Why == "" {
					d.out.Why = fmt.Sprintf("%s (policy %s)", why, m.name)
				}
				continue
			}
			d.out.Why = "equal rank: the settings of both are met"
		}
		d.winners = append(d.winners, m)
		d.out.Winner = append(d.out.Winner, m.name)
	}
	if len(d.winners) == 1 && d.out.Why == "" {
		d.out.Why = "the only policy that matches and gives settings"
	}
}
