package policies

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
)

// maxMisses bounds the policies that an explanation names as nearly matching.
const maxMisses = 8

// explanation is what the answer does not say.
func (d *decision) explanation() *decisionlog.Explanation {
	out := &decisionlog.Explanation{Misses: d.misses(), Errors: d.errors}
	if d.known {
		out.Sources = d.trail.sources()
	}
	return out
}

// miss is a policy that takes no part, with how far its pattern came.
type miss struct {
	entry *entry
	why   string
	depth int // segments that matched; a full match is deeper than all
}

// fullMatch is the depth of a pattern that matches.
const fullMatch = 1 << 20

// misses are the policies that do not take part although they come close: one
// entry each, the closest first.
func (d *decision) misses() []decisionlog.Miss {
	best := map[*policy]miss{}
	note := func(e *entry, why string, depth int) {
		if old, ok := best[e.policy]; !ok || depth > old.depth {
			best[e.policy] = miss{e, why, depth}
		}
	}
	for _, e := range d.set.index.lookup(d.id) {
		note(e, d.missed(e), fullMatch)
	}
	for _, b := range d.set.index.buckets(d.id) {
		for _, e := range b.near {
			if ok, why, depth := e.pattern.matchPath(d.id); !ok {
				note(e, "host matched, "+why, depth)
			}
		}
	}
	for _, p := range d.set.policies {
		for _, e := range p.entries {
			if p.mode == modeOff && e.pattern.matches(d.id) {
				note(e, "the pattern matches, but the policy is off", fullMatch)
			}
		}
	}
	for _, m := range d.matches {
		delete(best, m.policy)
	}
	found := make([]miss, 0, len(best))
	for _, m := range best {
		found = append(found, m)
	}
	slices.SortFunc(found, func(a, b miss) int {
		return cmp.Or(b.depth-a.depth, strings.Compare(a.entry.policy.name, b.entry.policy.name))
	})
	var out []decisionlog.Miss
	for _, m := range found[:min(len(found), maxMisses)] {
		p := m.entry.policy
		out = append(out, decisionlog.Miss{Policy: p.name, Mode: p.mode, Pattern: m.entry.pattern.text, Why: m.why, Location: fmt.Sprintf("%s:%d", p.file, p.line)})
	}
	return out
}

// matches compares the whole of an identifier, host included. The index is
// faster; this is for policies that are not in it.
func (p *pattern) matches(id cimd.ID) bool {
	if p.opaque || id.IsOpaque() {
		return p.opaque && id.IsOpaque() && p.text == id.String()
	}
	if p.wild && !slices.Contains(id.Parents(), p.host) || !p.wild && p.host != id.Host {
		return false
	}
	ok, _, _ := p.matchPath(id)
	return ok
}
