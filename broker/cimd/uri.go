package cimd

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxURI is the longest URI, in octets, that is looked at (U9).
const maxURI = 2048

// webURI is an http or https URI, split but never rewritten.
type webURI struct {
	scheme, host, port, path, query string
	hasQuery                        bool
}

// recogniseWeb splits an http or https URI. It accepts the grammar of RFC 3986
// without user information, fragment, dot segments (written, escaped or made
// by an escaped separator), escaped control characters or any second spelling
// of scheme or port. It does not judge the host: callers do, each by its own
// rule.
func recogniseWeb(raw string) (webURI, *fault) {
	if f := checkCharacters(raw); f != nil {
		return webURI{}, f
	}
	var u webURI
	scheme, rest, found := strings.Cut(raw, "://")
	if !found || scheme != "https" && scheme != "http" {
		return webURI{}, &fault{rule: "U1", phrase: "must begin with https:// in lower case"}
	}
	u.scheme = scheme
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if f := u.splitAuthority(rest[:end]); f != nil {
		return webURI{}, f
	}
	u.path, u.query, u.hasQuery = strings.Cut(rest[end:], "?")
	if f := checkPath(u.path); f != nil {
		return webURI{}, f
	}
	_, f := unescape(u.query)
	return u, f
}

// checkCharacters holds the rules that apply to a URI as a whole.
func checkCharacters(raw string) *fault {
	if raw == "" {
		return &fault{rule: "U13", phrase: "is empty"}
	}
	if len(raw) > maxURI {
		return &fault{rule: "U9", phrase: "is longer than " + strconv.Itoa(maxURI) + " octets"}
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return &fault{rule: "U13", phrase: "contains a character that URIs do not have: " + quote(raw[i:i+1])}
		}
	}
	if strings.IndexByte(raw, '#') >= 0 {
		return &fault{rule: "U7", phrase: "must not contain a fragment"}
	}
	return nil
}

func (u *webURI) splitAuthority(authority string) *fault {
	if strings.IndexByte(authority, '@') >= 0 {
		return &fault{rule: "U2", phrase: "must not contain user information"}
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return &fault{rule: "U13", phrase: "has an unclosed bracket in its host"}
		}
		host = authority[:end+1]
		rest := authority[end+1:]
		port, hasPort = strings.CutPrefix(rest, ":")
		if !hasPort && rest != "" {
			return &fault{rule: "U13", phrase: "has text between its host and its port"}
		}
	}
	if host == "" {
		return &fault{rule: "U1", phrase: "has no host"}
	}
	if hasPort && !canonicalPort(port) {
		return &fault{rule: "U13", phrase: "must write its port as a number from 1 to 65535 without leading zeros"}
	}
	u.host, u.port = host, port
	return nil
}

func canonicalPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

// checkPath refuses dot segments (U5), also those that appear only after
// escapes are decoded. A backslash counts as a separator there because some
// parsers read it as one.
func checkPath(path string) *fault {
	decoded, f := unescape(path)
	if f != nil {
		return f
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(decoded, `\`, "/"), "/") {
		if segment == "." || segment == ".." {
			return &fault{rule: "U5", phrase: "must not contain dot segments in its path"}
		}
	}
	return nil
}

// unescape decodes the percent escapes of a path or query once and refuses
// malformed ones, control characters, and octets that are not UTF-8 (overlong
// forms of a dot or a slash are among them).
func unescape(s string) (string, *fault) {
	if strings.ContainsAny(s, "[]") {
		return "", &fault{rule: "U13", phrase: "contains a bracket outside its host"}
	}
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			return "", &fault{rule: "U13", phrase: "contains a malformed percent escape"}
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		if c < ' ' || c == 0x7f {
			return "", &fault{rule: "U13", phrase: "contains an escaped control character"}
		}
		out = append(out, c)
		i += 2
	}
	if !utf8.Valid(out) {
		return "", &fault{rule: "U13", phrase: "contains escaped octets that are not UTF-8"}
	}
	return string(out), nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// unhex is defined only where isHex holds.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}
