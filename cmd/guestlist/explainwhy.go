package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
)

// explanation writes what nearly matched and what could not be evaluated.
func (p *page) explanation(ph decisionlog.Phase) {
	p.field(2, "nearest miss", ph.NearestMiss)
	if ph.Explanation == nil {
		return
	}
	for _, m := range ph.Explanation.Misses {
		if ph.NearestMiss == "policy "+m.Policy+": "+m.Why {
			continue // said above
		}
		p.field(2, "not taken", fmt.Sprintf("%s  %s  %s, at %s: %s", m.Policy, m.Pattern, m.Mode, m.Location, m.Why))
	}
	for _, e := range ph.Explanation.Errors {
		p.field(2, "error", e)
	}
}

// reads writes what the rule behind a denial looked at.
func (p *page) reads(d decisionlog.Denial) {
	if !p.verbose {
		return
	}
	for _, r := range d.Read {
		p.field(3, "read", r.Path+" = "+r.Value)
	}
}

// alwaysShown are the settings that a page shows even at their strict value.
var alwaysShown = []string{"access_token.ttl", "client_ttl", "grant_types", "scopes.ceiling", "scopes.default"}

// settings writes the terms, and where each comes from if that is known.
func (p *page) settings(r logged) {
	if len(r.Settings) == 0 {
		return
	}
	var why *decisionlog.Explanation
	if n := len(r.Phases); n > 0 {
		why = r.Phases[n-1].Explanation
	}
	if why != nil && len(why.Sources) == 0 {
		p.field(1, "settings", "not known in phase "+r.Phase)
		return
	}
	p.line(1, "settings")
	p.members(2, settingsShown(r.Settings, why, p.verbose))
}

// settingsShown picks the settings that differ from the strict ones, those
// that somebody narrowed, and those that are always shown; or all of them.
func settingsShown(raw json.RawMessage, why *decisionlog.Explanation, everything bool) map[string]string {
	strict := map[string]string{}
	if b, err := json.Marshal(broker.StrictSettings()); err == nil {
		strict = flatten(b)
	}
	all := flatten(raw)
	shown := map[string]string{}
	for name, value := range all {
		was, known := strict[name]
		source, narrowed := sourceText(why, name)
		if everything && why != nil || !known || was != value || narrowed || slices.Contains(alwaysShown, name) {
			shown[name] = dash(value, source) + source
		}
	}
	if all["refresh_token.issue"] == "true" {
		source, _ := sourceText(why, "refresh_token.ttl")
		shown["refresh_token.ttl"] = all["refresh_token.ttl"] + source
	}
	return shown
}

// dash stands for an empty value that has a source after it.
func dash(value, source string) string {
	if value == "" && source != "" {
		return "-"
	}
	return value
}

// sourceText says who gave a value and what it was before, and whether
// somebody narrowed it.
func sourceText(why *decisionlog.Explanation, name string) (text string, narrowed bool) {
	if why == nil {
		return "", false
	}
	i := slices.IndexFunc(why.Sources, func(s decisionlog.Source) bool {
		return s.Member == name || strings.HasPrefix(name, s.Member+".")
	})
	if i < 0 || len(why.Sources[i].Steps) == 0 {
		return "", false
	}
	steps := why.Sources[i].Steps
	last := len(steps) - 1
	text = "  by " + steps[last].By
	for i, s := range steps[:last] {
		text += map[bool]string{true: ", was ", false: ", then "}[i == 0] + valueText(s.Value) + " by " + s.By
	}
	return text, last > 0
}

// valueText writes a JSON value for people.
func valueText(raw json.RawMessage) string {
	if v, ok := flatten(raw)[""]; ok {
		return v
	}
	return string(raw)
}
