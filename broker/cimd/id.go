package cimd

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// ID is a parsed client identifier URL. Two IDs name the same client exactly
// when their String results are equal byte for byte; nothing here is
// normalised, so "https://c.example:443/x" and "https://c.example/x" are two
// clients (U8). Only [Parse] and, for registered clients, [Opaque] make a valid
// one. Treat it as read-only: copies share their slices.
type ID struct {
	// Host is the lower-case DNS name, at least two labels, never an address.
	Host string
	// Port is the port as written, or "" when none was written.
	Port string
	// Path is the path as written; it begins with "/".
	Path string
	// Query is what follows the first "?", or "".
	Query string
	// HasQuery tells an empty query from none.
	HasQuery bool
	// Segments are the parts of Path between slashes, escapes not decoded:
	// "/a/b" gives a and b, "/a/" gives a and "", "/" gives one "".
	Segments []string
	// Warnings name what the draft discourages but allows, for policy to
	// weigh, in this order and never nil: "query" (a query, even an empty
	// one), "root_path" (the path is "/"), "port" (a port is written),
	// "punycode" (a label begins with xn--), "percent_encoding" (the path has
	// escapes), "empty_segment" (the path contains "//"), "public_suffix" (the
	// host is itself a public suffix, so it has no registrable domain).
	Warnings []string

	raw string
}

// Parse recognises a client identifier URL (section 3 of the draft, rules U1
// to U13) on the bytes as they came, before any library can clean them. It
// accepts at most 2048 octets. The error is an *Error with the reason
// client_id_malformed and the first rule that was broken.
//
// Parse does not resolve the host and does not ask whether the name is public:
// the address is checked where it is dialled.
func Parse(raw string) (ID, error) {
	id, f := recogniseID(raw)
	if f != nil {
		return ID{}, f.about(reasonMalformed, "the client identifier "+quote(raw))
	}
	return id, nil
}

func recogniseID(raw string) (ID, *fault) {
	u, f := recogniseWeb(raw)
	if f != nil {
		return ID{}, f
	}
	if u.scheme != "https" {
		return ID{}, &fault{rule: "U1", phrase: "must begin with https:// in lower case"}
	}
	if f := checkPublicName(u.host); f != nil {
		return ID{}, f
	}
	if u.path == "" {
		return ID{}, &fault{rule: "U4", phrase: "must have a path"}
	}
	id := ID{
		Host: u.host, Port: u.port, Path: u.path, Query: u.query, HasQuery: u.hasQuery,
		Segments: strings.Split(u.path[1:], "/"),
		raw:      raw,
	}
	id.Warnings = id.warnings()
	return id, nil
}

func (id ID) warnings() []string {
	found := []string{}
	for _, w := range []struct {
		slug  string
		holds bool
	}{
		{"query", id.HasQuery},
		{"root_path", id.Path == "/"},
		{"port", id.Port != ""},
		{"punycode", slices.ContainsFunc(id.Labels(), isALabel)},
		{"percent_encoding", strings.Contains(id.Path, "%")},
		{"empty_segment", strings.Contains(id.Path, "//")},
		{"public_suffix", id.RegistrableDomain() == ""},
	} {
		if w.holds {
			found = append(found, w.slug)
		}
	}
	return found
}

func isALabel(label string) bool { return strings.HasPrefix(label, "xn--") }

// String returns the exact bytes that were parsed.
func (id ID) String() string { return id.raw }

// Origin returns "https://host" or "https://host:port" with the port as
// written.
func (id ID) Origin() string {
	if id.Port == "" {
		return "https://" + id.Host
	}
	return "https://" + id.Host + ":" + id.Port
}

// RegistrableDomain returns the public suffix of Host plus one label, private
// suffixes included: "a.github.io" is a registrable domain of its own. It is
// "" when Host is itself a suffix. Suffixes come from the list compiled into
// the program.
func (id ID) RegistrableDomain() string { return registrableDomain(id.Host) }

func registrableDomain(host string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	return domain
}

// Parents returns the domains above Host, nearest first, down to and including
// the registrable domain. It is empty, never nil, when Host is the registrable
// domain or has none.
func (id ID) Parents() []string {
	parents := []string{}
	domain := id.RegistrableDomain()
	for host := id.Host; domain != "" && host != domain; {
		_, host, _ = strings.Cut(host, ".")
		parents = append(parents, host)
	}
	return parents
}

// Labels returns the labels of Host from left to right; never nil.
func (id ID) Labels() []string {
	if id.Host == "" {
		return []string{}
	}
	return strings.Split(id.Host, ".")
}

// LooksLikeURL tells a client_id that means to be a URL, well formed or not,
// from an opaque one: it contains "://" or begins with "http:" or "https:" in
// any case, after any white space. A client_id for which it is true must never
// be taken for the name of a registered opaque client.
func LooksLikeURL(raw string) bool {
	start := strings.ToLower(strings.TrimSpace(raw[:min(len(raw), maxURI)]))
	return strings.HasPrefix(start, "https:") || strings.HasPrefix(start, "http:") || strings.Contains(raw, "://")
}

// maxOpaque is the longest opaque client_id, in octets.
const maxOpaque = 255

// Opaque makes an ID of a client_id that is no URL, as an operator may give it
// to a registered client: printable ASCII (VSCHAR of RFC 6749, appendix A.1)
// without an asterisk, which would read as a pattern, and nothing that
// LooksLikeURL holds true for. It has no host, no path and no registrable
// domain, and no redirect URI is of its origin. The error is an *Error with
// the reason client_id_malformed.
func Opaque(raw string) (ID, error) {
	var f *fault
	switch {
	case raw == "":
		f = &fault{rule: "RFC 6749 A.1", phrase: "is empty"}
	case len(raw) > maxOpaque:
		f = &fault{rule: "RFC 6749 A.1", phrase: "is longer than 255 octets"}
	case strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r > '~' || r == '*' }):
		f = &fault{rule: "RFC 6749 A.1", phrase: "has a character that is not printable ASCII, or an asterisk"}
	case LooksLikeURL(raw):
		f = &fault{rule: "A4", phrase: "reads as a URL"}
	default:
		return ID{Segments: []string{}, Warnings: []string{}, raw: raw}, nil
	}
	return ID{}, f.about(reasonMalformed, "the client_id "+quote(raw))
}

// IsOpaque reports whether the ID came from Opaque.
func (id ID) IsOpaque() bool { return id.raw != "" && id.Host == "" }
