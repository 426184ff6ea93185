package cimd

import (
	"strings"
	"unicode"
)

const (
	// maxName bounds client_name in bytes. 300 characters of any script in
	// the basic plane fit; pages cut what they show (B34).
	maxName = 1000
	// maxText bounds other free text in bytes.
	maxText = 255
)

// name holds M11 and refuses characters that could make the name read as
// something else on a consent page.
func (r *reader) name() *Error {
	name, present, fail := r.text("client_name")
	if fail != nil {
		return fail
	}
	blank := strings.TrimSpace(name) == ""
	switch {
	case blank && r.profile != ProfileCIMD:
		return &Error{reasonNameMissing, "M11", "the document has no client_name, or an empty one"}
	case blank:
		if present {
			r.drop("client_name")
		}
		return nil
	case len(name) > maxName:
		return &Error{reasonMember, "B34", "the member client_name is longer than 1000 bytes"}
	case strings.ContainsFunc(name, isDeceptive):
		return &Error{reasonMember, "B34", "the member client_name contains control, direction or invisible characters: " + quote(name)}
	}
	r.doc.ClientName = name
	return nil
}

// isDeceptive reports control, format (direction marks among them), separator,
// private-use and invisible characters. Variation selectors, which emoji need,
// pass.
func isDeceptive(c rune) bool {
	return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point) || c == '\u2800' || c == unicode.ReplacementChar
}

// display reads the URLs that people may be shown. Dangerous schemes were
// refused before; what is merely of no use is left out (Q10).
func (r *reader) display() *Error {
	for _, m := range []struct {
		name string
		to   *string
	}{
		{"client_uri", &r.doc.ClientURI},
		{"logo_uri", &r.doc.LogoURI},
		{"tos_uri", &r.doc.TosURI},
		{"policy_uri", &r.doc.PolicyURI},
	} {
		if fail := r.optionalText(m.name, m.to, isDisplayURL); fail != nil {
			return fail
		}
	}
	return nil
}

// optionalText stores a string member that is a matter of courtesy: null and
// values that do not hold are dropped, other types refused.
func (r *reader) optionalText(name string, to *string, holds func(string) bool) *Error {
	if v, present := r.members[name]; present && v == nil {
		r.drop(name)
		return nil
	}
	s, present, fail := r.text(name)
	if fail != nil || !present {
		return fail
	}
	if !holds(s) {
		r.drop(name)
		return nil
	}
	*to = s
	return nil
}

// isDisplayURL accepts an https URL with a public host name. A fragment may
// stand, since nothing compares these URLs.
func isDisplayURL(s string) bool {
	base, fragment, _ := strings.Cut(s, "#")
	u, f := recogniseWeb(base)
	if f != nil || u.scheme != "https" || checkPublicName(u.host) != nil {
		return false
	}
	return len(s) <= maxURI && (fragment == "" || checkCharacters(fragment) == nil)
}

func isPlainText(s string) bool {
	return s != "" && len(s) <= maxText && !strings.ContainsFunc(s, isDeceptive)
}

// software reads the members about the software and the people behind it.
func (r *reader) software() *Error {
	if fail := r.optionalText("software_id", &r.doc.SoftwareID, isPlainText); fail != nil {
		return fail
	}
	if fail := r.optionalText("software_version", &r.doc.SoftwareVersion, isPlainText); fail != nil {
		return fail
	}
	if v, present := r.members["contacts"]; present && v == nil {
		r.drop("contacts")
		return nil
	}
	contacts, fail := r.list("contacts")
	if fail != nil {
		return fail
	}
	for i, c := range contacts {
		if !isPlainText(c) {
			r.dropElement("contacts", i)
			continue
		}
		r.doc.Contacts = append(r.doc.Contacts, c)
	}
	return nil
}

// scope holds the grammar of RFC 6749 section 3.3, but lets spaces repeat.
func (r *reader) scope() *Error {
	scope, present, fail := r.text("scope")
	if fail != nil || !present {
		return fail
	}
	for i := range len(scope) {
		if c := scope[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return &Error{reasonMember, "RFC 6749 3.3", "the member scope contains a character that scopes do not have: " + quote(scope[i:i+1])}
		}
	}
	r.doc.Scope = &scope
	return nil
}

func (r *reader) applicationType() *Error {
	kind, present, fail := r.text("application_type")
	if fail != nil || !present {
		return fail
	}
	if kind != "native" && kind != "web" {
		return &Error{reasonMember, "Q5", "the member application_type must be native or web, not " + quote(kind)}
	}
	r.doc.ApplicationType = kind
	return nil
}

// demands reads what the client asks to be held to.
func (r *reader) demands() *Error {
	var fail *Error
	if r.doc.DPoPBoundAccessTokens, fail = r.flag("dpop_bound_access_tokens"); fail != nil {
		return fail
	}
	r.doc.RequirePAR, fail = r.flag("require_pushed_authorization_requests")
	return fail
}
