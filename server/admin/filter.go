package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"guestlist/broker"
	"guestlist/broker/cimd"
)

// ClientFilter selects clients; every member that is set must fit. The zero
// value selects all.
type ClientFilter struct {
	URL          string              // exact client identifier
	URLPrefix    string              // identifiers that begin so
	Host         string              // exact host of the identifier, whatever its port
	Domain       string              // registrable domain
	Document     string              // SHA-256 of the document in lower-case hex
	Policy       string              // one of the policies that gave settings at the last commit
	Label        string              // one of the tags
	Registration broker.Registration // how it came to be known; pinned also finds those that are about to be
	State        State               // the one that is shown
}

// filterParams are the parameters of a ClientFilter.
var filterParams = []string{"url", "url_prefix", "host", "domain", "document", "policy", "label", "registration", "state"}

// query writes f as parameters.
func (f ClientFilter) query() url.Values {
	q := url.Values{}
	for i, v := range []string{f.URL, f.URLPrefix, f.Host, f.Domain, f.Document, f.Policy, f.Label, string(f.Registration), string(f.State)} {
		set(q, filterParams[i], v)
	}
	return q
}

// clientFilter reads a ClientFilter and refuses what can fit no client.
func clientFilter(q url.Values) (ClientFilter, error) {
	f := ClientFilter{
		URL: q.Get("url"), URLPrefix: q.Get("url_prefix"), Host: strings.ToLower(q.Get("host")), Domain: strings.ToLower(q.Get("domain")),
		Document: strings.ToLower(q.Get("document")),
		Policy:   q.Get("policy"), Label: q.Get("label"), Registration: broker.Registration(q.Get("registration")), State: State(q.Get("state")),
	}
	registrations := []broker.Registration{broker.RegistrationCIMD, broker.RegistrationPinned, broker.RegistrationRegistered}
	if f.Registration != "" && !slices.Contains(registrations, f.Registration) {
		return f, fail(http.StatusBadRequest, "registration %.60q: want one of %q", f.Registration, registrations)
	}
	if f.State != "" && !slices.Contains(states, f.State) {
		return f, fail(http.StatusBadRequest, "state %.60q: want one of %q", f.State, states)
	}
	for _, s := range []struct {
		kind  broker.BlockKind
		value string
	}{{broker.BlockURL, f.URL}, {broker.BlockHost, f.Host}, {broker.BlockDomain, f.Domain}, {broker.BlockDocument, f.Document}} {
		if err := checkSelector(s.kind, s.value); s.value != "" && err != nil {
			return f, err
		}
	}
	return f, nil
}

// fits reports whether the row is selected.
func (f ClientFilter) fits(row ClientRow) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	among := func(want string, have []string) bool { return want == "" || slices.Contains(have, want) }
	return is(f.URL, row.ID) && strings.HasPrefix(row.ID, f.URLPrefix) && is(f.Document, row.DocumentSHA256) &&
		is(string(f.State), string(row.State)) && among(f.Policy, row.Policy) && among(f.Label, row.Tags) &&
		(is(string(f.Registration), string(row.Registration)) || f.Registration == broker.RegistrationPinned && row.Pinned) &&
		f.fitsHost(row.ID)
}

// fitsHost reports whether the host of a client identifier is selected.
func (f ClientFilter) fitsHost(clientID string) bool {
	if f.Host == "" && f.Domain == "" {
		return true
	}
	id, err := cimd.Parse(clientID)
	if err != nil {
		return false
	}
	return (f.Host == "" || f.Host == id.Host) && (f.Domain == "" || f.Domain == cmp.Or(id.RegistrableDomain(), id.Host))
}

// checkSelector refuses a value that can name nothing of its kind, and says
// what to write.
func checkSelector(kind broker.BlockKind, value string) error {
	switch kind {
	case broker.BlockURL:
		if _, err := cimd.Parse(value); err != nil && cimd.LooksLikeURL(value) {
			return fail(http.StatusBadRequest, "url: %s. Remedy: write the client identifier as the client sends it", err)
		}
	case broker.BlockHost, broker.BlockDomain:
		return checkHost(kind, value)
	case broker.BlockDocument:
		if len(value) != 64 || strings.Trim(value, "0123456789abcdef") != "" {
			return fail(http.StatusBadRequest, "document %.80q: want a SHA-256 digest, 64 characters 0-9 and a-f. Remedy: guestlist client show URL prints it", value)
		}
	default:
		return fail(http.StatusBadRequest, "kind %.40q: want url, host, domain or document", kind)
	}
	return nil
}

// checkHost refuses what is no host name, or no registrable domain.
func checkHost(kind broker.BlockKind, value string) error {
	suffix := fail(http.StatusBadRequest, "domain %.300q is a public suffix, under which anybody registers names. Remedy: name a domain below it", value)
	id, err := cimd.Parse("https://" + value + "/client")
	if kind == broker.BlockDomain && !strings.ContainsAny(value, "./:") {
		return suffix
	}
	if err != nil || id.Host != value {
		example := "agents.example.com"
		if u, err := url.Parse(value); err == nil && u.Hostname() != "" {
			example = strings.ToLower(u.Hostname())
		}
		return fail(http.StatusBadRequest, "%s %.300q is no host name. Remedy: write it alone, without scheme, port and path, like %.200s", kind, value, example)
	}
	if kind != broker.BlockDomain {
		return nil
	}
	switch d := id.RegistrableDomain(); d {
	case value:
		return nil
	case "":
		return suffix
	default:
		return fail(http.StatusBadRequest, "domain %.300q is not a registrable domain. Remedy: write %s for all of it, or block or list the host alone", value, d)
	}
}
