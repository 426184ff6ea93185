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
	kindMask                   // admission.mask
)

// shape is how a rule of the contract is written.
type shape int

const (
	shapeValue shape = iota // one complete value
	shapeSet                // contains denials
	shapeMask               // contains what masking does
)

// ruleSpec says what a rule of the contract may be and read.
type ruleSpec struct {
	about    string // one sentence for the reference
	shape    shape
	constant bool         // reads no input at all
	phase    broker.Phase // the last phase whose members it may read
	except   []string     // members it may not read all the same
}

var denialSpecs = map[string]ruleSpec{
	"deny":          {about: `Refuses before anything is fetched.`, shape: shapeSet, phase: broker.PhaseURL},
	"deny_document": {about: `Refuses once the document is read and negotiated.`, shape: shapeSet, phase: broker.PhaseDocument},
	"deny_user":     {about: `Refuses a person; asked at consent, at the exchange of the code and at refresh.`, shape: shapeSet, phase: broker.PhaseUser},
	"deny_refresh":  {about: `Refuses a refresh.`, shape: shapeSet, phase: broker.PhaseRefresh},
	"warn":          {about: `Admits and stands in the record.`, shape: shapeSet, phase: broker.PhaseRefresh, except: []string{"now"}},
}

var policySpecs = map[string]ruleSpec{
	"client_ids":      {about: `Patterns of client identifier URLs, or opaque ids of registered clients.`, constant: true},
	"client_ids_from": {about: `Instead of client_ids: a bare reference to a list, {host: [{path, settings?, expires?, owner?, ticket?}]}.`, constant: true},
	"priority":        {about: `Whole number from -100 to 100, default 0; ranks before specificity.`, constant: true},
	"mode":            {about: `enforce (default), warn (its denials become warnings), shadow (neither ranks nor vetoes), off.`, constant: true},
	"registrations":   {about: `How clients may be known: default {"cimd", "pinned"}; registered beside them.`, constant: true},
	"applies":         {about: `Condition beside the patterns; undefined is false.`, phase: broker.PhaseURL},
	"settings":        {about: `The terms of admission. Without it a policy may deny and never admits.`, phase: broker.PhaseDocument, except: []string{"effective"}},
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
		ceiling := policySpecs["settings"]
		ceiling.about = "Settings that bound every policy, member by member."
		out["ceiling"] = ceiling
		out["waivers"] = ruleSpec{about: "Denials of policies that do not count for one exact URL until a day: {client_id, policy, code, owner, expires, ticket?}.", constant: true}
	case kindDefaults:
		out["settings"] = ruleSpec{about: "What holds where a policy is silent.", constant: true}
	case kindMask:
		out[maskRule] = ruleSpec{about: `What is left out of a decision record before it is kept: JSON pointers into its body, or {op: "remove" or "upsert", path, value}.`, shape: shapeMask}
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
