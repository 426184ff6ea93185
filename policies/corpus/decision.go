package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// Outcomes of a scene.
const (
	Admitted = "admitted" // every phase that was asked let the client act
	Refused  = "refused"
)

// Decision is what became of a scene. Members from Scopes on are set where it
// was admitted.
type Decision struct {
	Scene    string   `json:"scene"`
	Purpose  string   `json:"purpose"`
	ClientID string   `json:"client_id"`
	Outcome  string   `json:"outcome"`            // admitted or refused
	Phase    string   `json:"phase"`              // the last that was asked; empty: none was
	Reason   string   `json:"reason,omitempty"`   // of the refusal
	Denials  []string `json:"denials,omitempty"`  // policy/code
	Warnings []string `json:"warnings,omitempty"` // policy/code
	Policy   []string `json:"policy,omitempty"`   // whose terms apply
	Detail   string   `json:"detail,omitempty"`   // precise text for the operator; not compared

	Scopes    []string `json:"scopes,omitempty"`
	Resources []string `json:"resources,omitempty"`
	Auth      []string `json:"auth,omitempty"`       // client authentication methods
	Consent   string   `json:"consent,omitempty"`    // mode
	Access    string   `json:"access_ttl,omitempty"` // life of an access token
	Refresh   string   `json:"refresh,omitempty"`    // life of the refresh token; none: there is none
	ClientTTL string   `json:"client_ttl,omitempty"` // life of the client
	Terms     []string `json:"terms,omitempty"`      // further settings that are not the strict ones, member=value

	Unexpected string `json:"unexpected,omitempty"` // how it differs from what the scene expects
}

// decisionOf reads the records of a scene.
func decisionOf(records []decisionlog.Record) (Decision, error) {
	if len(records) == 0 {
		return Decision{}, errors.New("nothing was decided")
	}
	last := records[len(records)-1]
	d := Decision{Outcome: Admitted, Phase: last.Phase, Reason: last.Reason, Policy: last.Policy}
	for _, r := range records {
		for _, p := range r.Phases {
			d.Warnings = append(d.Warnings, codes(p.Warnings)...)
			d.Denials = append(d.Denials, codes(p.Denials)...)
		}
	}
	d.Warnings, d.Denials = tidy(d.Warnings), tidy(d.Denials)
	if d.Reason != "" {
		d.Outcome, d.Detail = Refused, last.Detail
		return d, nil
	}
	var settings broker.Settings
	var effective broker.Effective
	if err := json.Unmarshal(last.Settings, &settings); err != nil {
		return d, fmt.Errorf("settings: %w", err)
	}
	if err := json.Unmarshal(last.Effective, &effective); err != nil {
		return d, fmt.Errorf("effective: %w", err)
	}
	d.Scopes, d.Resources, d.Auth = effective.Scopes, effective.Resources, effective.AuthMethods
	d.Consent, d.Access, d.ClientTTL = settings.Consent.Mode, settings.AccessToken.TTL.String(), settings.ClientTTL.String()
	d.Refresh = "none"
	if settings.RefreshToken.Issue && slices.Contains(effective.GrantTypes, "refresh_token") {
		d.Refresh = settings.RefreshToken.TTL.String()
	}
	terms, err := unusual(settings)
	d.Terms = terms
	return d, err
}

// codes are what refused or warned, policy first.
func codes(list []decisionlog.Denial) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.Policy + "/" + v.Code
	}
	return out
}

// tidy sorts, and keeps each once.
func tidy(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// shown are the settings that a Decision has members for, and those that say
// what might have been granted rather than what is.
var shown = []string{
	"access_token.ttl", "client_ttl", "consent.mode", "grant_types", "refresh_token.issue", "refresh_token.ttl",
	"response_types", "scopes.ceiling", "scopes.default", "token_endpoint_auth_methods",
}

// unusual lists the other settings that are not the strict ones.
func unusual(s broker.Settings) ([]string, error) {
	have, err := flat(s)
	if err != nil {
		return nil, err
	}
	strict, err := flat(broker.StrictSettings())
	if err != nil {
		return nil, err
	}
	var out []string
	for name, value := range have {
		if value != strict[name] && !slices.Contains(shown, name) {
			out = append(out, name+"="+value)
		}
	}
	slices.Sort(out)
	return out, nil
}

// flat writes settings as JSON values by dotted name.
func flat(s broker.Settings) (map[string]string, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, raw := range members {
		var inner map[string]json.RawMessage
		if name == "claims" || name == "device" || json.Unmarshal(raw, &inner) != nil || inner == nil {
			out[name] = string(raw)
			continue
		}
		for sub, raw := range inner {
			out[name+"."+sub] = string(raw)
		}
	}
	return out, nil
}

// differs says how a decision is not what was expected.
func (e *Expect) differs(d Decision) string {
	if e == nil {
		return ""
	}
	var out []string
	if e.Outcome != "" && e.Outcome != d.Outcome {
		out = append(out, fmt.Sprintf("outcome is %s, not %s", d.Outcome, e.Outcome))
	}
	if e.Reason != "" && e.Reason != d.Reason {
		out = append(out, fmt.Sprintf("reason is %s, not %s", orText(d.Reason, "none"), e.Reason))
	}
	if e.Policy != "" && !slices.Contains(d.Policy, e.Policy) {
		out = append(out, fmt.Sprintf("policy is %s, not %s", orText(strings.Join(d.Policy, ","), "none"), e.Policy))
	}
	return strings.Join(out, "; ")
}
