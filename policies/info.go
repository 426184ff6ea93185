package policies

import (
	"maps"
	"slices"
	"time"
)

// Info describes one policy of a Set.
type Info struct {
	Name        string   // package name below admission.policies; anyone for admission.anyone
	Title       string   // METADATA title
	Description string   // METADATA description
	Authors     []string // METADATA authors, "Name <mail>"
	ReviewBy    string   // METADATA custom.review_by, a date, or ""
	Mode        string   // enforce, warn, shadow or off
	Priority    int      // -100 to 100
	Patterns    []string // as written; rows of a list as host and path
	List        string   // data path of client_ids_from, or ""
	Rows        int      // of that list, expired ones included
	Tags        []string // settings.tags where settings are constant; rows may add theirs
	Scopes      []string // ceiling of its scopes where settings are constant
	File        string   // path below the root
	Line        int      // of the package in File
	VetoOnly    bool     // has no settings: may deny, never admits
}

// Overdue reports whether the day of its review is over at now, in UTC.
func (i Info) Overdue(now time.Time) bool {
	day, err := time.Parse(time.DateOnly, i.ReviewBy)
	return err == nil && !now.Before(day.AddDate(0, 0, 1))
}

// Policies lists the policies of the set by name, admission.anyone last.
func (s *Set) Policies() []Info {
	all := slices.Clone(s.policies)
	if s.anyone != nil {
		all = append(all, s.anyone)
	}
	out := make([]Info, 0, len(all))
	for _, p := range all {
		out = append(out, p.info())
	}
	return out
}

// info describes the policy.
func (p *policy) info() Info {
	patterns, rows := map[string]bool{}, 0
	for _, e := range p.entries {
		patterns[e.pattern.text] = true
		if e.row != nil {
			rows++
		}
	}
	if p.kind == kindAnyone {
		patterns["(every valid client identifier)"] = true
	}
	tags, _ := p.settings["tags"].([]string)
	scopes, _ := p.settings["scopes.ceiling"].([]string)
	return Info{Name: p.name, Title: p.title, Description: p.description, Authors: slices.Clone(p.authors), ReviewBy: p.reviewBy,
		Mode: p.mode, Priority: p.priority, Patterns: slices.Sorted(maps.Keys(patterns)), List: p.list, Rows: rows, Tags: slices.Clone(tags), Scopes: slices.Clone(scopes),
		File: p.file, Line: p.line, VetoOnly: !p.settles()}
}
