package authoring

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"guestlist/broker/cimd"
	"guestlist/policies"
)

// Draft is a policy for one client, drawn from its document: the exact
// identifier, and the least terms on which the client can work. Nothing of the
// document but scopes, hosts and the identifier gets into the files: its texts
// are a stranger's.
type Draft struct {
	Name      string          // of the policy
	ID        cimd.ID         // the client
	Parsed    cimd.Parsed     // its document
	Redirects []cimd.Redirect // of the redirect URIs that are kept
	Demands   []string        // what the document demands beyond these terms
	Policy    []byte          // NAME.rego
	Test      []byte          // NAME_test.rego
	List      []byte          // lists/NAME/data.json; nil without a list
}

// DraftOptions say what a draft is to be called and who answers for it.
type DraftOptions struct {
	Name   string    // of the policy, its file and its list
	Owner  string    // see Options
	List   bool      // name the client in a list of its own, not in the policy
	Scopes []string  // that the client may have; nil: those that its document asks for
	Now    time.Time // the review date is a year later; required
}

// draftName keeps to names that stand in Rego without quotes.
var draftName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// reserved are words of Rego, and the packages with a place of their own.
var reserved = []string{"as", "and", "contains", "default", "else", "every", "false", "if", "import", "in", "not", "null", "or",
	"package", "some", "true", "with", "data", "input", "anyone", "defaults", "guardrails"}

// NewDraft draws a policy from the body of a document. The error says what is
// wrong with the name, or why the document would be refused.
func NewDraft(id cimd.ID, body []byte, o DraftOptions) (Draft, error) {
	switch {
	case !draftName.MatchString(o.Name) || slices.Contains(reserved, o.Name) || strings.HasSuffix(o.Name, "_test"):
		return Draft{}, fmt.Errorf("policy name %.80q: want lower-case letters, digits and _, no word of Rego, not %s, no _test at the end",
			o.Name, strings.Join(reserved[len(reserved)-3:], ", "))
	case !owner.MatchString(o.Owner):
		return Draft{}, fmt.Errorf("owner %.200q: want one line without quotes, for instance Identity team <iam@corp.example>", o.Owner)
	case strings.Contains(id.Path, "*"):
		return Draft{}, fmt.Errorf("%s has a *, which a policy reads as a wildcard. Remedy: write the policy by hand", id)
	case id.Query != "" && o.List:
		return Draft{}, fmt.Errorf("%s has a query, and a row names a path. Remedy: leave out --list", id)
	}
	d := Draft{Name: o.Name, ID: id}
	profile := cimd.ProfileMCP
	var err error
	if d.Parsed, err = cimd.ParseDocument(body, id, profile); err != nil {
		profile = cimd.ProfileCIMD
		var again error
		if d.Parsed, again = cimd.ParseDocument(body, id, profile); again != nil {
			var e *cimd.Error
			if errors.As(err, &e) {
				return Draft{}, fmt.Errorf("the document of %s would be refused (%s): %s", id, e.Reason, e.Detail)
			}
			return Draft{}, err
		}
	}
	for _, uri := range d.Parsed.Document.RedirectURIs {
		r, err := cimd.ClassifyRedirect(uri, id)
		if err != nil {
			return Draft{}, err
		}
		d.Redirects = append(d.Redirects, r)
	}
	d.demands()
	return d, d.write(o, profile, len(body))
}

// demands lists what the document insists on, which its own terms cannot give.
func (d *Draft) demands() {
	if d.Parsed.Document.DPoPBoundAccessTokens {
		d.Demands = append(d.Demands, "DPoP-bound access tokens (RFC 9449)")
	}
	if d.Parsed.Document.RequirePAR {
		d.Demands = append(d.Demands, "pushed authorization requests (RFC 9126)")
	}
}

// write makes the files.
func (d *Draft) write(o DraftOptions, profile cimd.Profile, size int) error {
	terms := d.terms(o.Scopes, profile, size)
	fill := strings.NewReplacer("NAME", o.Name, "HOSTKEY", encode(hostKey(d.ID)), "HOST", d.ID.Host, "OWNER", o.Owner, "REVIEW_BY", o.Now.AddDate(1, 0, 0).Format(time.DateOnly),
		"SETTINGS", written(terms), "CLIENT", encode(clientPattern(d.ID)), "SIBLING", encode(sibling(d.ID)), "LOOKALIKE", encode(lookalike(d.ID)),
		"TERMS", written(bare(terms)), "PATH", encode(d.ID.Path))
	policy, test := draftPolicy, draftTest
	if o.List {
		policy, test = draftListPolicy, draftListTest
		row := Row{Expires: o.Now.AddDate(1, 0, 0).Format(time.DateOnly), Owner: o.Owner}
		empty, err := parseList([]byte("{}\n"))
		if err != nil {
			return err
		}
		d.List = empty.add(hostKey(d.ID), d.ID.Path, encode(row.value(d.ID.Path)))
	}
	var err error
	if d.Policy, err = policies.Format(o.Name+".rego", []byte(fill.Replace(policy))); err != nil {
		return err
	}
	d.Test, err = policies.Format(o.Name+"_test.rego", []byte(fill.Replace(test)))
	return err
}

// clientPattern is what a policy writes: an identifier with a query matches by
// its path.
func clientPattern(id cimd.ID) string { return id.Origin() + id.Path }

// sibling is another document of the same host.
func sibling(id cimd.ID) string { return clientPattern(id) + "x" }

// lookalike is the same path of a host that begins like the client's.
func lookalike(id cimd.ID) string { return "https://" + id.Host + ".lookalike.example" + id.Path }

// hostKey is the host as a list writes it.
func hostKey(id cimd.ID) string { return strings.TrimPrefix(id.Origin(), "https://") }
