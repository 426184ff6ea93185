package cimd

import (
	"slices"
	"strings"
)

// answerParameters are what an authorization response says.
var answerParameters = []string{"code", "state", "iss", "error", "error_description", "error_uri"}

// Kinds of redirect URI and their relations to the client identifier, as
// policies read them.
const (
	kindHTTPS         = "https"
	kindLoopback      = "loopback"
	kindPrivateScheme = "private_scheme"

	relationSameOrigin = "same_origin"
	relationSameSite   = "same_site"
	relationCrossSite  = "cross_site"
)

// Redirect is a redirect URI with what policies and pages need to know of it.
type Redirect struct {
	// URI is the redirect URI as written.
	URI string `json:"uri"`
	// Kind is "https", "loopback" (http to 127.0.0.1, [::1] or localhost, or
	// https to any name or address of the browser's own machine) or
	// "private_scheme" (RFC 8252 section 7.1).
	Kind string `json:"kind"`
	// Host is the host as written, brackets included; for a private scheme,
	// what stands between "//" and the next slash, or "".
	Host string `json:"host"`
	// Port is the port as written, or "".
	Port string `json:"port"`
	// Relation to the client identifier: "same_origin" (same host and port,
	// 443 being the default), "same_site" (same registrable domain) or
	// "cross_site". Loopback and private schemes are always cross_site.
	Relation string `json:"relation"`
}

// target is a recognised redirect URI; web is set unless it has a private
// scheme.
type target struct {
	kind, host string
	web        webURI
}

// ClassifyRedirect recognises a redirect URI and says how it relates to the
// client identifier. It refuses everything that must never be redirected to,
// whoever registered it: relative references, fragments, user information,
// wildcards, characters outside RFC 3986, dot segments, a second spelling of
// scheme, host or port, http to another machine, script-like schemes, private
// schemes without a period (RFC 8252 section 8.4), and queries that hold a
// parameter of an authorization response already. The error is an
// *Error with the reason document_redirects_invalid.
//
// ClassifyRedirect does not ask whether the client registered the URI:
// [MatchRedirect] does.
func ClassifyRedirect(uri string, id ID) (Redirect, error) {
	t, f := recogniseRedirect(uri)
	if f != nil {
		return Redirect{}, f.about(reasonRedirects, "the redirect URI "+quote(uri))
	}
	return Redirect{URI: uri, Kind: t.kind, Host: t.host, Port: t.web.port, Relation: t.relation(id)}, nil
}

func (t target) relation(id ID) string {
	if t.kind != kindHTTPS {
		return relationCrossSite
	}
	if t.host == id.Host && portOrDefault(t.web.port) == portOrDefault(id.Port) {
		return relationSameOrigin
	}
	if domain := id.RegistrableDomain(); domain != "" && registrableDomain(t.host) == domain {
		return relationSameSite
	}
	return relationCrossSite
}

func portOrDefault(port string) string {
	if port == "" {
		return "443"
	}
	return port
}

func recogniseRedirect(uri string) (target, *fault) {
	if scheme := dangerousScheme(uri); scheme != "" {
		return target{}, &fault{rule: "F14", phrase: "has the forbidden scheme " + scheme}
	}
	if f := checkCharacters(uri); f != nil {
		return target{}, f
	}
	if strings.IndexByte(uri, '*') >= 0 {
		return target{}, &fault{rule: "A1", phrase: "must not contain a wildcard"}
	}
	scheme, rest, found := strings.Cut(uri, ":")
	if !found || !isScheme(scheme) {
		return target{}, &fault{rule: "A1", phrase: "must be an absolute URI"}
	}
	var t target
	var f *fault
	if lower := strings.ToLower(scheme); lower == "http" || lower == "https" {
		t, f = recogniseWebRedirect(uri)
	} else {
		t, f = recognisePrivate(scheme, rest)
	}
	if f == nil && carriesAnswer(uri) {
		return target{}, &fault{rule: "M15", phrase: "must not have a parameter of an authorization response in its query", unusable: true}
	}
	return t, f
}

// carriesAnswer reports whether the query of a well-formed URI has a parameter
// that an authorization response adds (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC
// 9207): there would be two of it, and readers differ in which one counts.
func carriesAnswer(uri string) bool {
	_, query, _ := strings.Cut(uri, "?")
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, _ = unescape(name)
		if slices.Contains(answerParameters, name) {
			return true
		}
	}
	return false
}

func recogniseWebRedirect(uri string) (target, *fault) {
	u, f := recogniseWeb(uri)
	if f != nil {
		return target{}, f
	}
	loopback, f := redirectHost(u.host)
	if f != nil {
		return target{}, f
	}
	t := target{kind: kindHTTPS, host: u.host, web: u}
	if loopback {
		t.kind = kindLoopback
	}
	if u.scheme == "http" && !isLoopbackHost(u.host) {
		return target{}, &fault{rule: "M24", phrase: "must use https, or http to 127.0.0.1, [::1] or localhost"}
	}
	return t, nil
}

// isLoopbackHost names the three hosts whose port is free (RFC 8252 section
// 7.3, RFC 9700 section 2.1).
func isLoopbackHost(host string) bool {
	return host == "127.0.0.1" || host == "[::1]" || host == "localhost"
}

// recognisePrivate asks for the form that RFC 8252 gives: a reversed domain
// name as scheme and a path that begins with a slash. The slash also keeps
// "host.example:8080/cb", a URI without scheme, from being read as one.
func recognisePrivate(scheme, rest string) (target, *fault) {
	host, path := "", rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		end := strings.IndexAny(after+"/", "/?")
		host, path = after[:end], after[end:]
	}
	if strings.IndexByte(host, '@') >= 0 {
		return target{}, &fault{rule: "U2", phrase: "must not contain user information"}
	}
	for _, part := range []string{host, path} {
		part, _, _ = strings.Cut(part, "?")
		if f := checkPath(part); f != nil {
			return target{}, f
		}
	}
	if _, f := unescape(rest); f != nil {
		return target{}, f
	}
	if !strings.HasPrefix(rest, "/") {
		return target{}, &fault{rule: "X8", phrase: "must have a path that begins with a slash", unusable: true}
	}
	if !isReversedDomain(scheme) {
		return target{}, &fault{rule: "X8", phrase: "must have a scheme that is a reversed domain name, with a period", unusable: true}
	}
	return target{kind: kindPrivateScheme, host: host}, nil
}

func isReversedDomain(scheme string) bool {
	return strings.Contains(scheme, ".") && !strings.Contains("."+scheme+".", "..")
}

// isScheme holds the grammar of RFC 3986 section 3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || strings.IndexByte("0123456789+-.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// MatchRedirect finds the registered redirect URI that a request may use. It
// returns the URI to redirect to and the registered entry that allows it.
//
// A requested URI matches the entry equal to it byte for byte; failing that,
// an http URI to 127.0.0.1, [::1] or localhost matches an http entry with the
// same host, path and query, whatever the two ports. A nil requested stands
// for an absent parameter and matches when exactly one URI is registered; a
// pointer to "" matches nothing. What [ClassifyRedirect] would refuse never
// matches, even when both sides are equal. The arguments may be any bytes.
func MatchRedirect(registered []string, requested *string) (uri, reg string, ok bool) {
	if requested == nil {
		if len(registered) != 1 {
			return "", "", false
		}
		requested = &registered[0]
	}
	want, f := recogniseRedirect(*requested)
	if f != nil {
		return "", "", false
	}
	for _, entry := range registered {
		if entry == *requested {
			return entry, entry, true
		}
	}
	if want.web.scheme != "http" {
		return "", "", false
	}
	want.web.port = ""
	for _, entry := range registered {
		have, f := recogniseRedirect(entry)
		have.web.port = ""
		if f == nil && have.web == want.web {
			return *requested, entry, true
		}
	}
	return "", "", false
}
