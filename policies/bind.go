package policies

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// readSettings decodes constant settings (or the ceiling) at load.
func (p *policy) readSettings(ctx context.Context, out *report) {
	name := p.settingsRule()
	r := p.rules[name]
	if r == nil {
		if p.kind == kindAnyone {
			out.fail(p.file, p.line, "anyone_closed", "set open: true or consent.mode: approval", "admission.anyone has no settings")
		}
		return
	}
	if r.constant {
		p.constant(ctx, name, out, func(v any) (err error) {
			p.settings, err = p.decode(v)
			p.tellNotInForce(out)
			if p.kind == kindAnyone && p.settings["consent.mode"] == "once" {
				out.warn(p.file, r.line, "anyone_remembered", "leave consent.mode out: always", "admission.anyone remembers consent given to clients that nobody named")
			}
			return err
		})
	}
}

// decode reads what the rule settings or ceiling gave, and holds what depends
// on the kind of the package and on its patterns.
func (p *policy) decode(v any) (partial, error) {
	open := false
	if p.kind == kindAnyone {
		v, open = takeOpen(v)
	}
	s, err := decodeSettings(v)
	if err != nil {
		return nil, err
	}
	switch p.kind {
	case kindAnyone:
		if !open && s["consent.mode"] != "approval" {
			return nil, errors.New("admission.anyone lets in every stranger: set open: true, or consent.mode: approval")
		}
	case kindGuardrails:
		return s, checkBound(s)
	case kindDefaults:
		return s, checkNetwork(s)
	}
	return s, checkExact(s, p.kind == kindPolicy && p.exact)
}

// takeOpen takes the member open out of the settings of admission.anyone.
func takeOpen(v any) (any, bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return v, false
	}
	rest := map[string]any{}
	open := false
	for name, v := range m {
		if b, isBool := v.(bool); name == "open" && isBool {
			open = b
			continue
		}
		rest[name] = v
	}
	return rest, open
}

// checkBound refuses what cannot bound: members without a meet.
func checkBound(s partial) error {
	for _, name := range unmet {
		if _, ok := s[name]; ok {
			return fmt.Errorf("%s cannot be bounded", name)
		}
	}
	return nil
}

// checkExact refuses what only an exact URL may have: a private network, and a
// consent that is skipped.
func checkExact(s partial, exact bool) error {
	if exact {
		return nil
	}
	if err := checkNetwork(s); err != nil {
		return err
	}
	if s["consent.mode"] == "skip" {
		return errors.New("consent.mode: skip is only for exact URLs")
	}
	return nil
}

func checkNetwork(s partial) error {
	for _, path := range []string{"network.allow_cidrs", "network.egress_proxy"} {
		if _, ok := s[path]; ok {
			return fmt.Errorf("%s: only a policy whose patterns are all exact URLs may open a network", path)
		}
	}
	return nil
}

// notInForce are members that are decoded and kept while what they steer is
// not there, with the value that changes nothing. What a policy demands is not
// among them: a demand that cannot be met refuses the client.
var notInForce = map[string]any{
	"device": nil, "claims": nil,
}

// tellNotInForce warns of constant settings that do nothing yet, so that
// nobody relies on them.
func (p *policy) tellNotInForce(out *report) {
	for _, path := range slices.Sorted(maps.Keys(p.settings)) {
		idle, listed := notInForce[path]
		if listed && (idle == nil || idle != p.settings[path]) {
			out.warn(p.file, p.line, "not_in_force", "leave it out until it is", "%s is understood and kept, but not in force yet", path)
		}
	}
}
