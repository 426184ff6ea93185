package cimd

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// keptMembers are the names that Document keeps.
var keptMembers = []string{
	"client_id", "client_name", "client_uri", "logo_uri", "tos_uri", "policy_uri",
	"redirect_uris", "grant_types", "response_types",
	"token_endpoint_auth_method", "token_endpoint_auth_methods_supported", "token_endpoint_auth_signing_alg",
	"scope", "jwks", "jwks_uri", "application_type", "software_id", "software_version",
	"dpop_bound_access_tokens", "require_pushed_authorization_requests", "contacts",
}

// secretMembers must not be published by anybody (D8).
var secretMembers = []string{"client_secret", "client_secret_expires_at"}

// reader takes a decoded document apart, one group of members a method. Each
// method checks its members, fills in doc and notes what it leaves out.
type reader struct {
	members map[string]any
	id      ID
	profile Profile
	doc     Document
	dropped []string
}

func (r *reader) drop(name string) { r.dropped = append(r.dropped, name) }

func (r *reader) dropElement(name string, i int) {
	r.drop(name + "[" + strconv.Itoa(i) + "]")
}

func (r *reader) allDropped() []string {
	all := slices.Clone(r.dropped)
	for name := range r.members {
		if !slices.Contains(keptMembers, name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

func wrongType(name, want string) *Error {
	return &Error{Reason: reasonMember, Rule: "RFC 7591 2", Detail: "the member " + name + " must be " + want}
}

// text reads an optional string. Null counts as a wrong type: a member that is
// there must say something.
func (r *reader) text(name string) (string, bool, *Error) {
	v, present := r.members[name]
	if !present {
		return "", false, nil
	}
	s, ok := v.(string)
	if !ok {
		return "", false, wrongType(name, "a string")
	}
	return s, true, nil
}

// list reads an optional array of strings; nil means absent.
func (r *reader) list(name string) ([]string, *Error) {
	v, present := r.members[name]
	if !present {
		return nil, nil
	}
	array, ok := v.([]any)
	if !ok {
		return nil, wrongType(name, "an array of strings")
	}
	list := make([]string, len(array))
	for i, e := range array {
		if list[i], ok = e.(string); !ok {
			return nil, wrongType(name, "an array of strings")
		}
	}
	return list, nil
}

func (r *reader) flag(name string) (bool, *Error) {
	v, present := r.members[name]
	if !present {
		return false, nil
	}
	b, ok := v.(bool)
	if !ok {
		return false, wrongType(name, "true or false")
	}
	return b, nil
}

// identifiers reads an array of protocol names such as grant types and drops
// the elements that no registry could hold.
func (r *reader) identifiers(name string) ([]string, *Error) {
	list, fail := r.list(name)
	if fail != nil || list == nil {
		return nil, fail
	}
	kept := []string{}
	for i, s := range list {
		if !isIdentifier(s) || slices.Contains(kept, s) {
			r.dropElement(name, i)
			continue
		}
		kept = append(kept, s)
	}
	return kept, nil
}

// isIdentifier accepts printable ASCII of a sensible length.
func isIdentifier(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// clientID holds D2 and D3.
func (r *reader) clientID() *Error {
	v, present := r.members["client_id"]
	published, ok := v.(string)
	switch {
	case !present:
		return &Error{reasonIDMissing, "D2", "the document has no member client_id"}
	case !ok:
		return &Error{reasonIDMissing, "D2", "the member client_id must be a string"}
	case published != r.id.String() || published == "":
		return &Error{reasonIDMismatch, "D3", "the member client_id is " + quote(published) + ", which is not the URL of the document"}
	}
	r.doc.ClientID = published
	return nil
}

// names refuses members whose name equals a name with a meaning but for letter
// case, in Unicode's sense: readers that fold case would see another document
// than this one does.
func (r *reader) names() *Error {
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		if known := foldsTo(name, keptMembers, secretMembers); known != "" && known != name {
			return &Error{reasonMember, "D2", "the member " + quote(name) + " is spelt like " + known + " but for letter case"}
		}
	}
	return nil
}

// foldsTo returns the first known name that equals name under case folding.
func foldsTo(name string, lists ...[]string) string {
	for _, list := range lists {
		for _, known := range list {
			if strings.EqualFold(name, known) {
				return known
			}
		}
	}
	return ""
}

// secrets holds D8: presence is the violation, whatever the value.
func (r *reader) secrets() *Error {
	for _, name := range secretMembers {
		if _, present := r.members[name]; present {
			return &Error{reasonSecret, "D8", "the member " + name + " must not be published"}
		}
	}
	return nil
}

// schemes holds F14 and Q10 for every member that by its name holds URLs, kept
// or not, language-tagged ones included.
func (r *reader) schemes() *Error {
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		base, _, _ := strings.Cut(name, "#")
		if !strings.HasSuffix(base, "_uri") && !strings.HasSuffix(base, "_uris") {
			continue
		}
		urls, isArray := r.members[name].([]any)
		if !isArray {
			urls = []any{r.members[name]}
		}
		for _, v := range urls {
			url, _ := v.(string)
			scheme := dangerousScheme(url)
			if scheme == "" {
				continue
			}
			reason := reasonMember
			if name == "redirect_uris" {
				reason = reasonRedirects
			}
			return &Error{reason, "F14", "the member " + quote(name) + " has a URL with the forbidden scheme " + scheme}
		}
	}
	return nil
}
