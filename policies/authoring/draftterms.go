package authoring

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"guestlist/broker/cimd"
)

// term is one member of the settings of a draft, and why it is there.
type term struct {
	name  string
	value any
	why   string
}

// strictBytes is the size of a document up to which no setting is needed.
const strictBytes = 5120

// terms are the least that the document needs, or those scopes where there are
// any.
func (d *Draft) terms(scopes []string, profile cimd.Profile, size int) []term {
	doc := d.Parsed.Document
	why := "Chosen when this policy was written. A request that names no scope gets none: a default would say which."
	if scopes == nil {
		why = "What the document asks for. A request that names no scope gets none: a default would say which."
		if doc.Scope != nil {
			scopes = strings.Fields(*doc.Scope)
		}
	}
	if len(scopes) == 0 {
		why = "The document asks for no scope, so none is granted. Name here what the client may have."
	}
	out := []term{{"scopes", map[string]any{"ceiling": anyOf(scopes)}, why}}
	if slices.Contains(doc.GrantTypes, "refresh_token") {
		out = append(out, term{"grant_types", []any{"authorization_code", "refresh_token"}, "The document asks for refresh tokens."},
			term{"refresh_token", map[string]any{"issue": true}, ""})
	}
	if methods := doc.AuthMethods(); !slices.Contains(methods, "none") {
		out = append(out, term{"token_endpoint_auth_methods", []any{"private_key_jwt"}, "The document offers a key and nothing weaker."})
	}
	if r := d.redirectTerms(); len(r) > 0 {
		out = append(out, term{"redirect", r, "The redirect URIs of the document need this; without it they are left out."})
	}
	document := map[string]any{}
	if d.ID.Query != "" {
		document["allow_query"] = true
	}
	if size > strictBytes {
		document["max_bytes"] = json.Number(strconv.Itoa(min(65536, (size/1024+1)*1024)))
	}
	if profile == cimd.ProfileCIMD {
		document["profile"] = "cimd"
	}
	if len(document) > 0 {
		out = append(out, term{"document", document, "The identifier or the document needs this: a query, more than 5 KiB, or no client_name or redirect_uris."})
	}
	if uri, err := cimd.Parse(doc.JWKSURI); err == nil && uri.Origin() != d.ID.Origin() {
		out = append(out, term{"jwks", map[string]any{"same_origin": false}, "The keys are on another host, which answers for this client from now on."})
	}
	return out
}

// redirectTerms admit the kinds and relations that the document has.
func (d *Draft) redirectTerms() map[string]any {
	out := map[string]any{}
	order := []string{"same_origin", "same_site", "cross_site"}
	widest, hosts := 0, []string{}
	for _, r := range d.Redirects {
		switch r.Kind {
		case "loopback":
			out["loopback"] = true
		case "private_scheme":
			out["private_scheme"] = true
		default:
			widest = max(widest, slices.Index(order, r.Relation))
			if !slices.Contains(hosts, r.Host) {
				hosts = append(hosts, r.Host)
			}
		}
	}
	if widest > 0 {
		slices.Sort(hosts)
		out["relation"], out["hosts"] = order[widest], anyOf(hosts)
	}
	return out
}

// anyOf is a list as JSON has it.
func anyOf(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// bare are the terms without their reasons.
func bare(terms []term) []term {
	out := make([]term, len(terms))
	for i, t := range terms {
		out[i] = term{t.name, t.value, ""}
	}
	return out
}

// written are terms as the inside of a Rego object.
func written(terms []term) string {
	var b strings.Builder
	for _, t := range terms {
		if t.why != "" {
			b.WriteString("\t# " + t.why + "\n")
		}
		b.WriteString("\t" + encode(t.name) + ": " + encode(t.value) + ",\n")
	}
	return b.String()
}

// draftHead begins every draft. Titles and descriptions say nothing that the
// document says.
const draftHead = `# METADATA
# title: One client of HOST
# description: Drawn from the document that the client published. Read the terms before you let them in.
# authors:
#   - "OWNER"
# custom:
#   review_by: "REVIEW_BY"
package admission.policies.NAME

`

const draftSettings = `
# METADATA
# title: Terms
# description: The least on which the client can work; what is not named has its strict value or the one of admission.defaults.
settings := {
SETTINGS}
`

const draftPolicy = draftHead + `# METADATA
# title: The client
# description: One document by its exact address.
client_ids := {CLIENT}
` + draftSettings

const draftListPolicy = draftHead + `# METADATA
# title: The rows
# description: Which documents are admitted, keyed by host; see guestlist policy allow.
client_ids_from := data.lists.NAME
` + draftSettings

const draftTestHead = `package admission.policies.NAME_test

import data.admission.policies.NAME

`

const draftTestTerms = `
# METADATA
# title: The terms are those that were read
# description: Whoever widens them says so here too.
test_terms_are_those_of_the_document if {
	NAME.settings == {
TERMS}
}
`

const draftTest = draftTestHead + `# METADATA
# title: The client is named
test_client_is_named if {
	CLIENT in NAME.client_ids
}

# METADATA
# title: Nobody else is
# description: Another document of the host is another client, and so is a host that begins like it.
test_others_are_not_named if {
	count(NAME.client_ids) == 1
	every other in [SIBLING, LOOKALIKE] {
		not other in NAME.client_ids
	}
}
` + draftTestTerms

const draftListTest = draftTestHead + `# METADATA
# title: The client is named
test_client_is_named if {
	some row in NAME.client_ids_from[HOSTKEY]
	row.path == PATH
}

# METADATA
# title: Rows name single documents
# description: A wildcard in a row would let other applications of the same host in.
test_rows_name_single_documents if {
	every rows in NAME.client_ids_from {
		every row in rows {
			not contains(row.path, "*")
		}
	}
}
` + draftTestTerms
