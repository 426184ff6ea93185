package policies

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"guestlist/broker/cimd"
)

// entry is one pattern of one policy, from its rule or from a list row.
type entry struct {
	pattern *pattern
	policy  *policy
	row     *row // nil for a pattern of client_ids
}

// bucket holds the entries of one host, or of one "*." domain.
type bucket struct {
	literal map[string][]*entry // by port and path
	wild    []*entry            // with * or ** in the path
	near    []*entry            // the first few of all, to explain a miss
}

// index finds the patterns that match an identifier. Its cost depends on the
// number of labels of the host and on the wildcard paths of that host, not on
// how many policies and rows there are.
type index struct {
	hosts   map[string]*bucket  // literal hosts
	domains map[string]*bucket  // "*." hosts, by what follows the dot
	opaque  map[string][]*entry // by client_id
	names   []string            // every host above, sorted
	mirror  []string            // the same, sorted by their reversed spelling
}

func (x *index) add(e *entry) {
	if e.pattern.opaque {
		if x.opaque == nil {
			x.opaque = map[string][]*entry{}
		}
		x.opaque[e.pattern.text] = append(x.opaque[e.pattern.text], e)
		return
	}
	m := &x.hosts
	if e.pattern.wild {
		m = &x.domains
	}
	if *m == nil {
		*m = map[string]*bucket{}
	}
	b := (*m)[e.pattern.host]
	if b == nil {
		b = &bucket{literal: map[string][]*entry{}}
		(*m)[e.pattern.host] = b
	}
	if e.pattern.literalPath() {
		key := e.pattern.port + e.pattern.path()
		b.literal[key] = append(b.literal[key], e)
	} else {
		b.wild = append(b.wild, e)
	}
	if len(b.near) < nearSearch {
		b.near = append(b.near, e)
	}
}

// seal prepares the search for the nearest host, after the last add.
func (x *index) seal() {
	for _, m := range []map[string]*bucket{x.hosts, x.domains} {
		for h := range m {
			x.names = append(x.names, h)
		}
	}
	sort.Strings(x.names)
	x.names = slices.Compact(x.names)
	x.mirror = make([]string, len(x.names))
	for i, n := range x.names {
		x.mirror[i] = reverse(n)
	}
	sort.Strings(x.mirror)
}

// buckets returns what could match the host: its own bucket and those of the
// domains above it, which end at its registrable domain.
func (x *index) buckets(id cimd.ID) []*bucket {
	var out []*bucket
	if b := x.hosts[id.Host]; b != nil {
		out = append(out, b)
	}
	for _, parent := range id.Parents() {
		if b := x.domains[parent]; b != nil {
			out = append(out, b)
		}
	}
	return out
}

// lookup returns every entry that matches scheme, host, port and path, or an
// opaque client_id.
func (x *index) lookup(id cimd.ID) []*entry {
	if id.IsOpaque() {
		return x.opaque[id.String()]
	}
	var out []*entry
	for _, b := range x.buckets(id) {
		out = append(out, b.literal[id.Port+id.Path]...)
		for _, e := range b.wild {
			if ok, _, _ := e.pattern.matchPath(id); ok {
				out = append(out, e)
			}
		}
	}
	return out
}

// nearSearch bounds how many entries or hosts one search for the nearest miss
// looks at.
const nearSearch = 128

// nearest says how close the closest pattern came.
func (x *index) nearest(id cimd.ID) string {
	if len(x.names) == 0 {
		return "no policy names any client"
	}
	var best *entry
	var why string
	depth := -1
	for _, b := range x.buckets(id) {
		for _, e := range b.near {
			if ok, w, d := e.pattern.matchPath(id); !ok && d > depth {
				best, why, depth = e, w, d
			}
		}
	}
	if best != nil {
		return fmt.Sprintf("policy %s: host matched, %s", best.policy.name, why)
	}
	return x.nearestHost(id.Host)
}

// nearestHost names the host that is spelt most like the one that came.
func (x *index) nearestHost(host string) string {
	var near []string
	near = append(near, around(x.names, host)...)
	for _, m := range around(x.mirror, reverse(host)) {
		near = append(near, reverse(m))
	}
	best, at := "", len(host)+64
	for _, n := range near {
		if d := distance(host, n, at); d < at {
			best, at = n, d
		}
	}
	s := fmt.Sprintf("no pattern names host %s", clip(host, 80))
	if best == "" {
		return s
	}
	shown, b := best, x.hosts[best]
	if b == nil {
		shown, b = "*."+best, x.domains[best]
	}
	return fmt.Sprintf("%s; closest host %s in policy %s", s, shown, b.near[0].policy.name)
}

// around returns the neighbours of s in a sorted list.
func around(list []string, s string) []string {
	i := sort.SearchStrings(list, s)
	return list[max(0, i-nearSearch/4):min(len(list), i+nearSearch/4)]
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// twins warns of two policies that give settings for the same identifiers at
// equal rank, as far as their patterns show it.
func (x *index) twins(out *report) {
	for _, es := range x.opaque {
		warnTwins(es[:min(len(es), nearSearch)], out)
	}
	for _, m := range []map[string]*bucket{x.hosts, x.domains} {
		for _, b := range m {
			for _, es := range b.literal {
				warnTwins(es[:min(len(es), nearSearch)], out)
			}
			warnTwins(b.wild[:min(len(b.wild), nearSearch)], out)
		}
	}
}

func warnTwins(es []*entry, out *report) {
	for i, a := range es {
		for _, b := range es[i+1:] {
			p, q := a.policy, b.policy
			if p.name > q.name {
				p, q = q, p
			}
			n, _ := a.pattern.compare(b.pattern)
			if p == q || !p.ranks() || !q.ranks() || p.priority != q.priority || n != 0 || !a.pattern.overlaps(b.pattern) {
				continue
			}
			out.warn(p.file, p.line, "equal_rank", "give one of them another priority",
				"policies %s and %s match %s at equal rank: both settings are met", p.name, q.name, strings.Join(slices.Compact([]string{a.pattern.text, b.pattern.text}), " and "))
		}
	}
}
