package policies

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// waiver is one row of the rule waivers of the guardrails: for one client, one
// denial of one policy does not count until a day (design §4, composition 2).
type waiver struct {
	clientID, policy, code string
	owner, ticket          string
	expires                time.Time
	written                string // expires as written
}

// waived names the denial that a waiver is about.
type waived struct{ clientID, policy, code string }

var waiverMembers = []string{"client_id", "policy", "code", "owner", "expires", "ticket"}

// readWaivers reads the rule waivers of the guardrails.
func (p *policy) readWaivers(ctx context.Context, out *report) {
	p.constant(ctx, "waivers", out, func(v any) error {
		list, ok := v.([]any)
		if !ok {
			return wanted("a list or set of waivers", v)
		}
		p.waivers = map[waived]*waiver{}
		for _, e := range list {
			w, err := decodeWaiver(e)
			if err != nil {
				return err
			}
			key := waived{w.clientID, w.policy, w.code}
			if p.waivers[key] != nil {
				return fmt.Errorf("code %s of policy %s is waived twice for %s", w.code, w.policy, clip(w.clientID, 200))
			}
			p.waivers[key] = w
		}
		return nil
	})
}

func decodeWaiver(v any) (*waiver, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, wanted("a waiver: an object with client_id, policy, code, owner and expires", v)
	}
	w := &waiver{}
	texts := map[string]*string{"client_id": &w.clientID, "policy": &w.policy, "code": &w.code, "owner": &w.owner, "expires": &w.written, "ticket": &w.ticket}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		to, known := texts[name]
		if !known {
			return nil, fmt.Errorf("unknown member %s; %s", clip(name, 80), didYouMean(name, waiverMembers))
		}
		if *to, ok = m[name].(string); !ok {
			return nil, fmt.Errorf("%s: %w", name, wanted("a string", m[name]))
		}
	}
	for _, name := range waiverMembers[:5] {
		if *texts[name] == "" {
			return nil, fmt.Errorf("a waiver needs %s", name)
		}
	}
	if _, err := cimd.Parse(w.clientID); err != nil || strings.Contains(w.clientID, "*") {
		return nil, fmt.Errorf("client_id: %w", wanted("one exact client identifier URL", w.clientID))
	}
	if w.policy == guardrailsName {
		return nil, errors.New("what the guardrails deny cannot be waived: change their rule")
	}
	var err error
	w.expires, err = readExpiry(w.written)
	return w, err
}

// waive splits denials of a policy into those that count and those that the
// guardrails waive for this client at this time. The latter name who answers
// for it.
func (d *decision) waive(found []decisionlog.Denial) (counting, past []decisionlog.Denial) {
	if d.guard == nil || len(d.guard.waivers) == 0 {
		return found, nil
	}
	for _, n := range found {
		w := d.guard.waivers[waived{d.query.Input.ClientID, n.Policy, n.Code}]
		if w == nil || !d.query.Input.Time.Before(w.expires) {
			counting = append(counting, n)
			continue
		}
		n.WaivedBy, n.WaivedUntil, n.WaiverTicket = w.owner, w.written, w.ticket
		past = append(past, n)
	}
	return counting, past
}

// checkWaivers warns of waivers that change nothing. The day counts where
// today is known.
func (s *Set) checkWaivers(out *report) {
	if s.guardrails == nil || s.guardrails.rules["waivers"] == nil {
		return
	}
	all := slices.Clone(s.policies)
	if s.anyone != nil {
		all = append(all, s.anyone)
	}
	g := s.guardrails
	line := g.rules["waivers"].line
	for _, w := range g.waivers {
		i := slices.IndexFunc(all, func(p *policy) bool { return p.name == w.policy })
		switch {
		case !out.today.IsZero() && !out.today.Before(w.expires):
			out.warn(g.file, line, "waiver_expired", "delete it, or give it another day", "the waiver of %s for %s ended %s and has no effect", w.code, w.clientID, w.written)
		case i < 0:
			have := make([]string, 0, len(all))
			for _, p := range all {
				have = append(have, p.name)
			}
			out.warn(g.file, line, "waiver_unknown", didYouMean(w.policy, have), "the waiver of %s for %s names policy %s, which is not there", w.code, w.clientID, w.policy)
		case !all[i].says(w.code):
			out.warn(g.file, line, "waiver_unknown", didYouMean(w.code, all[i].codes()), "the waiver for %s names code %s, which no denial of policy %s is written with", w.clientID, w.code, w.policy)
		}
	}
}

// says reports whether a denial of the policy is written with the code, or may
// have it because its code is computed, as by a function of a library.
func (p *policy) says(code string) bool {
	for _, name := range denialRules {
		if r := p.rules[name]; r != nil && name != "warn" && r.computed {
			return true
		}
	}
	return slices.Contains(p.codes(), code)
}

// codes lists the codes that the denials of the policy are written with.
func (p *policy) codes() []string {
	var out []string
	for _, name := range denialRules {
		if r := p.rules[name]; r != nil && name != "warn" {
			out = slices.AppendSeq(out, maps.Keys(r.lines))
		}
	}
	return out
}
