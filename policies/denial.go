package policies

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"guestlist/broker/decisionlog"
)

// Effects of a denial.
const (
	effectRefuse   = "refuse"
	effectEndGrant = "end_grant"
)

var denialMembers = []string{"code", "message", "user_message", "remedy", "effect"}

var denialCode = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// maxText bounds one text of a denial.
const maxText = 1000

// headMember returns a member of the denial that the head of a rule shows, nil
// where it does not.
func headMember(r *ast.Rule, name string) *ast.Term {
	if r.Head.Key == nil {
		return nil
	}
	if o, ok := r.Head.Key.Value.(ast.Object); ok {
		return o.Get(ast.StringTerm(name))
	}
	return nil
}

// literal returns a member of the denial that the head of a rule writes out.
func literal(r *ast.Rule, name string) string {
	if t := headMember(r, name); t != nil {
		if s, ok := t.Value.(ast.String); ok {
			return string(s)
		}
	}
	return ""
}

// waver reports whether something is read that changes without anybody's doing
// (the hour, the address of the moment) or by an operator's word: what depends
// on it must not end a grant for ever unless the author says so (design §4).
func (r reads) waver() bool {
	for _, name := range []string{"time", "clock", "now", "facts"} {
		if r[name] != nil {
			return true
		}
	}
	return false
}

// checkEffects refuses an effect that is computed where the rule wavers:
// decodeDenials would let it refuse only.
func (p *pkg) checkEffects(name string, found reads, out *report) {
	if p.kind.specs()[name].shape != shapeSet || !found.waver() {
		return
	}
	for _, r := range p.rules[name] {
		if t := headMember(r, "effect"); t != nil && literal(r, "effect") == "" {
			out.fail(p.file, r.Location.Row, "effect_hidden", `write "effect": "end_grant" in the head, or leave it out`,
				"package %s: %s reads input.time, clock, now or facts, and may then end a grant only where it says so in so many words", p.name, name)
		}
	}
}

// checkDenials refuses at load what a denial written as a literal shows: a
// misspelt or missing member, a code or effect that cannot be.
func (p *pkg) checkDenials(out *report) {
	for name, rules := range p.rules {
		if p.kind.specs()[name].shape != shapeSet {
			continue
		}
		for _, r := range rules {
			if r.Head.Key == nil {
				continue
			}
			if why := visibleFault(r.Head.Key.Value); why != "" {
				out.fail(p.file, r.Location.Row, "denial_invalid", `write {"code": "…", "message": "…"}, and user_message, remedy or effect where wanted`, "package %s: %s: %s", p.name, name, why)
			}
		}
	}
}

func visibleFault(v ast.Value) string {
	o, ok := v.(ast.Object)
	if !ok {
		if _, isVar := v.(ast.Var); isVar || !ast.IsConstant(v) {
			return ""
		}
		return "an element is an object"
	}
	have := map[string]any{}
	literal := true
	o.Foreach(func(k, t *ast.Term) {
		key, ok := k.Value.(ast.String)
		if !ok {
			literal = false
			return
		}
		have[string(key)] = "x"
		if s, ok := t.Value.(ast.String); ok {
			have[string(key)] = string(s)
		} else if ast.IsConstant(t.Value) {
			have[string(key)] = nil
		} else if key == "effect" {
			have[string(key)] = effectRefuse
		}
	})
	if !literal {
		return ""
	}
	if _, err := decodeDenial(have); err != nil {
		return err.Error()
	}
	return ""
}

// decodeDenials reads the set of a deny or warn rule strictly. Of a rule that
// wavers, a denial whose effect is not written out refuses only.
func (r *rule) decodeDenials(t *ast.Term, policy string) ([]decisionlog.Denial, error) {
	if t == nil {
		return nil, nil
	}
	set, ok := t.Value.(ast.Set)
	if !ok {
		return nil, &evalError{at: r.at(r.line), err: fmt.Errorf("rule %s is a %s, not a set", r.name, ast.ValueName(t.Value))}
	}
	if set.Len() > maxDenials {
		return nil, &evalError{at: r.at(r.line), err: fmt.Errorf("rule %s has %d elements, at most %d are read", r.name, set.Len(), maxDenials)}
	}
	v, err := fromTerm(t)
	if err != nil {
		return nil, &evalError{at: r.at(r.line), err: err}
	}
	list, _ := v.([]any)
	out := make([]decisionlog.Denial, 0, len(list))
	for _, e := range list {
		d, err := decodeDenial(e)
		if err != nil {
			return nil, &evalError{at: r.at(r.line), err: fmt.Errorf("rule %s: %w", r.name, err)}
		}
		line := r.lines[d.Code]
		if line == 0 {
			line = r.line
		}
		if d.Effect == effectEndGrant && r.wavers && !r.ends[d.Code] {
			d.Effect = effectRefuse
		}
		d.Policy, d.Rule, d.Location, d.Computed = policy, r.name, r.at(line), r.computedIn(d)
		out = append(out, d)
	}
	return out, nil
}

func decodeDenial(v any) (decisionlog.Denial, error) {
	d := decisionlog.Denial{Effect: effectRefuse}
	m, ok := v.(map[string]any)
	if !ok {
		return d, wanted("an object with code and message", v)
	}
	texts := map[string]*string{"code": &d.Code, "message": &d.Message, "user_message": &d.UserMessage, "remedy": &d.Remedy, "effect": &d.Effect}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		v := m[name]
		to, known := texts[name]
		if !known {
			return d, fmt.Errorf("unknown member %s; %s", clip(name, 80), didYouMean(name, denialMembers))
		}
		if *to, ok = v.(string); !ok {
			return d, fmt.Errorf("%s: %w", name, wanted("a string", v))
		}
		if len(*to) > maxText {
			return d, fmt.Errorf("%s is longer than %d bytes", name, maxText)
		}
	}
	switch {
	case !denialCode.MatchString(d.Code):
		return d, fmt.Errorf("code: %w", wanted("1 to 64 letters, digits, _, . or -", d.Code))
	case d.Message == "":
		return d, fmt.Errorf("message is required")
	case !slices.Contains([]string{effectRefuse, effectEndGrant}, d.Effect):
		return d, fmt.Errorf("effect: %w", wanted("refuse or end_grant", d.Effect))
	}
	return d, nil
}
