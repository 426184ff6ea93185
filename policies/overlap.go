package policies

import (
	"slices"
	"sort"
	"strings"

	"guestlist/broker/cimd"
)

// touches reports whether some identifier could match both patterns. Where the
// list of public suffixes decides it may say yes too often, never no.
func (p *pattern) touches(o *pattern) bool {
	if p.opaque || o.opaque {
		return p.opaque && o.opaque && p.text == o.text
	}
	if p.port != o.port || !hostsTouch(p, o) {
		return false
	}
	a, b := p, o
	if len(a.segments) > len(b.segments) {
		a, b = b, a
	}
	for i, s := range a.segments {
		if t := b.segments[i]; !segmentCovers(s, t) && !segmentCovers(t, s) {
			return false
		}
	}
	switch n := len(a.segments); {
	case n == len(b.segments):
		return a.rest == b.rest
	case !a.rest:
		return false
	default:
		return b.segments[n] != ""
	}
}

func hostsTouch(p, o *pattern) bool {
	switch {
	case p.host == o.host:
		return p.wild == o.wild
	case p.wild && strings.HasSuffix(o.host, "."+p.host):
		return true
	}
	return o.wild && strings.HasSuffix(p.host, "."+o.host)
}

// segmentCovers reports whether the segment s of a pattern stands for all that
// t stands for.
func segmentCovers(s, t string) bool { return s == t || s == "*" && t != "" }

// covers reports whether every identifier that matches o matches p. It may say
// no where it cannot tell, never yes.
func (p *pattern) covers(o *pattern) bool {
	if p.opaque || o.opaque {
		return p.opaque && o.opaque && p.text == o.text
	}
	n := len(p.segments)
	if p.port != o.port || !p.hostCovers(o) || len(o.segments) < n {
		return false
	}
	for i, s := range p.segments {
		if !segmentCovers(s, o.segments[i]) {
			return false
		}
	}
	if !p.rest {
		return !o.rest && len(o.segments) == n
	}
	if len(o.segments) == n {
		return o.rest
	}
	return o.segments[n] != ""
}

func (p *pattern) hostCovers(o *pattern) bool {
	if p.wild == o.wild {
		return p.host == o.host
	}
	return p.wild && slices.Contains(o.identifier().Parents(), p.host)
}

// identifier is one that the pattern matches.
func (p *pattern) identifier() cimd.ID {
	if p.opaque {
		id, _ := cimd.Opaque(p.text)
		return id
	}
	host := p.host
	if p.wild {
		host = "any." + host
	}
	if p.port != "" {
		host += ":" + p.port
	}
	id, _ := cimd.Parse(p.sample(host))
	return id
}

// maxTouching bounds how many entries one search for overlaps looks at.
const maxTouching = 2048

// touching returns the entries whose patterns overlap with p; all is false
// where there are more of them than it looks at.
func (x *index) touching(p *pattern) (out []*entry, all bool) {
	if p.opaque {
		return x.opaque[p.text], true
	}
	left := maxTouching
	take := func(list []*entry) bool {
		for _, e := range list {
			if left--; left < 0 {
				return false
			}
			if e.pattern.touches(p) {
				out = append(out, e)
			}
		}
		return true
	}
	for _, b := range x.above(p) {
		if !p.literalPath() {
			for _, list := range b.literal {
				if !take(list) {
					return out, false
				}
			}
		} else if !take(b.literal[p.port+p.path()]) {
			return out, false
		}
		if !take(b.wild) {
			return out, false
		}
	}
	return out, true
}

// above returns the buckets whose hosts could overlap with that of p: its own,
// the domains above it, and for a wildcard what is below it.
func (x *index) above(p *pattern) []*bucket {
	var out []*bucket
	add := func(m map[string]*bucket, host string) {
		if b := m[host]; b != nil {
			out = append(out, b)
		}
	}
	if !p.wild {
		add(x.hosts, p.host)
	} else {
		add(x.domains, p.host)
		under := reverse("." + p.host)
		for i := sort.SearchStrings(x.mirror, under); i < len(x.mirror) && strings.HasPrefix(x.mirror[i], under) && len(out) < maxTouching; i++ {
			add(x.hosts, reverse(x.mirror[i]))
			add(x.domains, reverse(x.mirror[i]))
		}
	}
	for host := p.host; ; {
		_, rest, ok := strings.Cut(host, ".")
		if !ok {
			return out
		}
		host = rest
		add(x.domains, host)
	}
}
