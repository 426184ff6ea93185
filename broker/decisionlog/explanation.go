package decisionlog

import "encoding/json"

// Explanation is what the policies tell beside their answer in one phase, where
// somebody asked for it: a rehearsal, or a recorded decision that is made
// again. The records of a log never carry it. It may hold personal data.
type Explanation struct {
	Sources []Source `json:"sources,omitempty"` // of every settings member, in the order of the reference; none where the settings are not known in this phase
	Misses  []Miss   `json:"misses,omitempty"`  // policies that nearly match, and those that match and take no part
	Errors  []string `json:"errors,omitempty"`  // every failed evaluation, with file and line
}

// Source says where the value of one settings member comes from.
type Source struct {
	Member string `json:"member"` // dotted, as policies write it: access_token.ttl
	Steps  []Step `json:"steps"`  // the first gave a value, each other one narrowed it, the last one stands
}

// Step is one value on its way through the meets.
type Step struct {
	// By is strict, defaults, policy NAME, policy NAME (equal rank), row
	// data.LIST[HOST] PATH, guardrails, server maxima, document, grant (the terms
	// of a grant that no policy names any more), scopes.ceiling (defaults beyond
	// it) or the conditions of skip.
	By    string          `json:"by"`
	Value json.RawMessage `json:"value"`
}

// Miss is one policy that does not take part, although its pattern comes close
// or matches.
type Miss struct {
	Policy   string `json:"policy"`   // package name below admission.policies
	Mode     string `json:"mode"`     // enforce, warn, shadow, off
	Pattern  string `json:"pattern"`  // as written
	Why      string `json:"why"`      // where the two part
	Location string `json:"location"` // file:line of the policy
}

// Read is one value of the input that a rule looked at.
type Read struct {
	Path  string `json:"path"`  // input.user.groups
	Value string `json:"value"` // as JSON, cut at 200 bytes
}
