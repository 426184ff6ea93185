package policies

import (
	"maps"
	"slices"

	"guestlist/broker"
)

// kind is what a package is for.
type kind int

const (
	kindLibrary    kind = iota // shared helpers, anywhere outside admission
	kindPolicy                 // admission.policies.<name>
	kindGuardrails             // admission.guardrails
	kindDefaults               // admission.defaults
	kindAnyone                 // admission.anyone
)

// shape is how a rule of the contract is written.
type shape int

const (
	shapeValue shape = iota // one complete value
	shapeSet                // contains
)

// ruleSpec says what a rule of the contract may be and read.
type ruleSpec struct {
	shape    shape
	constant bool         // reads no input at all
	phase    broker.Phase // the last phase whose members it may read
	except   []string     // members it may not read all the same
}

var denialSpecs = map[string]ruleSpec{
	"deny":          {shape: shapeSet, phase: broker.PhaseURL},
	"deny_document": {shape: shapeSet, phase: broker.PhaseDocument},
	"deny_user":     {shape: shapeSet, phase: broker.PhaseUser},
	"deny_refresh":  {shape: shapeSet, phase: broker.PhaseRefresh},
	"warn":          {shape: shapeSet, phase: broker.PhaseRefresh, except: []string{"now"}},
}

var policySpecs = map[string]ruleSpec{
	"client_ids":      {constant: true},
	"client_ids_from": {constant: true},
	"priority":        {constant: true},
	"mode":            {constant: true},
	"registrations":   {constant: true},
	"applies":         {phase: broker.PhaseURL},
	"settings":        {phase: broker.PhaseDocument, except: []string{"effective"}},
}

// specs returns the rules that a package of this kind may have, beside those
// whose names begin with an underscore; nil means any.
func (k kind) specs() map[string]ruleSpec {
	out := map[string]ruleSpec{}
	switch k {
	case kindPolicy:
		maps.Copy(out, policySpecs)
		maps.Copy(out, denialSpecs)
	case kindAnyone:
		maps.Copy(out, policySpecs)
		maps.Copy(out, denialSpecs)
		delete(out, "client_ids")
		delete(out, "client_ids_from")
		delete(out, "priority")
	case kindGuardrails:
		maps.Copy(out, denialSpecs)
		out["ceiling"] = policySpecs["settings"]
		out["waivers"] = ruleSpec{constant: true}
	case kindDefaults:
		out["settings"] = ruleSpec{constant: true}
	default:
		return nil
	}
	return out
}

// denialRules in the order of their phases, warn last.
var denialRules = []string{"deny", "deny_document", "deny_user", "deny_refresh", "warn"}

// nextRule names the rule for a member of a later phase, for remedies.
func nextRule(memberRank int) string {
	return denialRules[min(memberRank, len(denialRules)-2)]
}

func names(specs map[string]ruleSpec) []string { return slices.Sorted(maps.Keys(specs)) }
