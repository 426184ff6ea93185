package policies

import (
	"errors"
	"fmt"
	"strings"

	"guestlist/broker/cimd"
)

// pattern is one parsed client identifier pattern.
type pattern struct {
	text     string   // as written
	host     string   // without the leading "*."
	wild     bool     // written with "*."
	port     string   // as written, or ""
	segments []string // "*" stands for one non-empty segment
	rest     bool     // ends in "**": one or more further segments
	literals int      // number of literal segments
	opaque   bool     // no pattern of URLs: text is the client_id of a registered client
}

// errWidePattern explains what a pattern must spell out.
var errWidePattern = errors.New("a pattern begins with https:// and a host, or *. and at least a registrable domain")

// parseClientID reads a member of client_ids: a pattern, or literally the
// opaque client_id of a registered client.
func parseClientID(text string) (pattern, error) {
	if cimd.LooksLikeURL(text) || strings.Contains(text, "*") {
		return parsePattern(text)
	}
	if _, err := cimd.Opaque(text); err != nil {
		return pattern{}, err
	}
	return pattern{text: text, opaque: true}, nil
}

// parsePattern reads a pattern such as https://*.example.com/oauth/*. Scheme,
// host and literal segments follow the rules of client identifier URLs, so
// that no pattern is accepted that could match nothing.
func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	rest, ok := strings.CutPrefix(text, "https://")
	if !ok {
		return p, errWidePattern
	}
	if strings.ContainsAny(rest, "?#") {
		return p, errors.New("a pattern has no query and no fragment; an identifier with a query matches by its path")
	}
	authority, path, ok := strings.Cut(rest, "/")
	if !ok {
		return p, errors.New("a pattern spells out its path; the root path is /")
	}
	authority, p.wild = strings.CutPrefix(authority, "*.")
	if authority == "" || strings.Contains(authority, "*") {
		return p, errWidePattern
	}
	if err := p.readPath(path); err != nil {
		return p, err
	}
	id, err := cimd.Parse(p.sample(authority))
	if err != nil {
		var e *cimd.Error
		if errors.As(err, &e) {
			return p, fmt.Errorf("no client identifier URL can match: %s", e.Detail)
		}
		return p, err
	}
	p.host, p.port = id.Host, id.Port
	if p.wild && id.RegistrableDomain() == "" {
		return p, fmt.Errorf("*.%s is wider than a registrable domain: %s is a public suffix", p.host, p.host)
	}
	return p, nil
}

// readPath splits the path and refuses wildcards inside a segment.
func (p *pattern) readPath(path string) error {
	p.segments = strings.Split(path, "/")
	if last := len(p.segments) - 1; p.segments[last] == "**" {
		p.rest, p.segments = true, p.segments[:last]
	}
	for _, s := range p.segments {
		switch {
		case s == "**":
			return errors.New("** stands only at the end of a path")
		case s != "*" && strings.Contains(s, "*"):
			return fmt.Errorf("segment %q: a wildcard stands for a whole segment", s)
		case s != "*":
			p.literals++
		}
	}
	return nil
}

// sample writes an identifier that the pattern matches, wildcard of the host
// aside.
func (p *pattern) sample(authority string) string {
	parts := make([]string, 0, len(p.segments)+1)
	for _, s := range p.segments {
		if s == "*" {
			s = "x"
		}
		parts = append(parts, s)
	}
	if p.rest {
		parts = append(parts, "x")
	}
	return "https://" + authority + "/" + strings.Join(parts, "/")
}

// exact reports whether the pattern names one URL.
func (p *pattern) exact() bool {
	return !p.opaque && !p.wild && p.literalPath()
}

func (p *pattern) literalPath() bool { return !p.rest && p.literals == len(p.segments) }

// path returns the path of a pattern whose path is literal.
func (p *pattern) path() string { return "/" + strings.Join(p.segments, "/") }

// matchPath compares port and path; the host was found by the index. When it
// does not match, why says where it parted.
func (p *pattern) matchPath(id cimd.ID) (ok bool, why string, depth int) {
	if p.port != id.Port {
		return false, fmt.Sprintf("port failed (%s is not %s)", portName(id.Port), portName(p.port)), 0
	}
	for i, s := range p.segments {
		if i >= len(id.Segments) {
			return false, fmt.Sprintf("path failed at segment %d (the path ends, %q is missing)", i+1, s), i
		}
		if got := id.Segments[i]; s == "*" && got == "" {
			return false, fmt.Sprintf("path failed at segment %d (* wants a segment that is not empty)", i+1), i
		} else if s != "*" && s != got {
			return false, fmt.Sprintf("path failed at segment %d (%q is not %q)", i+1, clip(got, 80), s), i
		}
	}
	n := len(p.segments)
	switch {
	case p.rest && (len(id.Segments) == n || id.Segments[n] == ""):
		return false, fmt.Sprintf("path failed at segment %d (** wants one segment or more)", n+1), n
	case !p.rest && len(id.Segments) > n:
		return false, fmt.Sprintf("path failed at segment %d (the pattern ends before %q)", n+1, clip(id.Segments[n], 80)), n
	}
	return true, "", n
}

func portName(port string) string {
	if port == "" {
		return "no port"
	}
	return "port " + port
}

// compare orders two patterns by specificity: positive when p is the more
// specific one, zero at equal rank. why names the step that decided.
func (p *pattern) compare(o *pattern) (n int, why string) {
	steps := []struct {
		a, b int
		why  string
	}{
		{one(!p.wild), one(!o.wild), "an exact host ranks over a wildcard"},
		{strings.Count(p.host, ".") * one(p.wild), strings.Count(o.host, ".") * one(o.wild), "the longer domain ranks first"},
		{one(p.literalPath()), one(o.literalPath()), "a literal path ranks over a wildcard"},
		{p.literals, o.literals, "more literal segments rank first"},
		{one(!p.rest), one(!o.rest), "* ranks over **"},
		{len(p.segments), len(o.segments), "the longer path ranks first"},
	}
	for _, s := range steps {
		if s.a != s.b {
			return s.a - s.b, s.why
		}
	}
	return 0, ""
}

// overlaps reports whether some identifier could match both patterns, which
// have the same host and equal rank.
func (p *pattern) overlaps(o *pattern) bool {
	if p.wild != o.wild || p.host != o.host || p.port != o.port || len(p.segments) != len(o.segments) {
		return false
	}
	for i, s := range p.segments {
		if t := o.segments[i]; s != t && s != "*" && t != "*" {
			return false
		}
	}
	return true
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// clip bounds foreign text in messages.
func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
