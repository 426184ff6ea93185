package main

import (
	"fmt"
	"slices"

	"guestlist/broker/decisionlog"
)

// gone says what became of something that a policy computed; empty: it is
// there, or never was.
func gone(r logged, pointer, have string) string {
	switch {
	case have != "" || !slices.Contains(r.Computed, pointer):
		return ""
	case r.BodyErased:
		return "(erased)"
	}
	return "(masked)"
}

// withGone are the phases of a record, where a computed text that is not there
// any more says so.
func withGone(r logged) []decisionlog.Phase {
	if len(r.Computed) == 0 {
		return r.Phases
	}
	out := slices.Clone(r.Phases)
	for i := range out {
		for kind, list := range map[string]*[]decisionlog.Denial{"denials": &out[i].Denials, "warnings": &out[i].Warnings} {
			*list = slices.Clone(*list)
			for j := range *list {
				d := &(*list)[j]
				for name, text := range map[string]*string{"code": &d.Code, "message": &d.Message, "user_message": &d.UserMessage, "remedy": &d.Remedy} {
					if why := gone(r, fmt.Sprintf("/phases/%d/%s/%d/%s", i, kind, j, name), *text); why != "" {
						*text = why
					}
				}
			}
		}
	}
	return out
}

// goneTerms says of settings and effective that they are not there any more.
func (p *page) goneTerms(r logged) {
	p.field(1, "settings", gone(r, "/settings", string(r.Settings)))
	p.field(1, "effective", gone(r, "/effective", string(r.Effective)))
}
