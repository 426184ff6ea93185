package broker

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"guestlist/broker/cimd"
)

// baseInput fills what every phase knows.
func (c *call) baseInput(facts RequestInput) Input {
	local := c.now.In(c.b.cfg.Zone)
	facts.Scopes, facts.Resources, facts.Prompt = list(facts.Scopes), list(facts.Resources), list(facts.Prompt)
	return Input{
		Contract: Contract, Registration: c.registration, Issuer: c.b.cfg.Issuer, Time: c.now.UTC(),
		Clock: ClockInput{
			Zone: c.b.cfg.Zone.String(), Date: local.Format("2006-01-02"),
			Weekday: strings.ToLower(local.Weekday().String()), Hour: local.Hour(), Minute: local.Minute(),
		},
		ClientID: c.id.String(), Facts: c.policy.Facts(), Client: describeID(c.id, c.live), Request: facts,
		Redirects: []cimd.Redirect{}, Published: map[string]any{},
		Provenance: ProvenanceInput{Changed: []string{}},
		Effective:  totalEffective(Effective{}),
		User:       totalUser(UserInput{}),
		Grant:      GrantInput{Scopes: []string{}, Resources: []string{}},
		Now:        NowInput{Scopes: []string{}, Resources: []string{}},
	}
}

// list turns nil into the empty list, so that input is total.
func list(v []string) []string {
	if v == nil {
		return []string{}
	}
	return v
}

// totalEffective is e without nil lists.
func totalEffective(e Effective) Effective {
	return Effective{
		AuthMethods: list(e.AuthMethods), GrantTypes: list(e.GrantTypes), ResponseTypes: list(e.ResponseTypes),
		Scopes: list(e.Scopes), Resources: list(e.Resources),
	}
}

// totalUser is u without nil lists and maps.
func totalUser(u UserInput) UserInput {
	u.Groups, u.AMR = list(u.Groups), list(u.AMR)
	if u.Claims == nil {
		u.Claims = map[string]any{}
	}
	return u
}

// readBy is u with the claims that p reads, and no others.
func (u UserInput) readBy(p Policy) UserInput {
	names, all := p.Claims()
	if all {
		return u
	}
	read := make(map[string]any, len(names))
	for _, name := range names {
		if v, ok := u.Claims[name]; ok {
			read[name] = v
		}
	}
	u.Claims = read
	return u
}

// totalGrant is g without nil lists.
func totalGrant(g GrantInput) GrantInput {
	g.Scopes, g.Resources = list(g.Scopes), list(g.Resources)
	return g
}

// totalNow is n without nil lists.
func totalNow(n NowInput) NowInput {
	n.Scopes, n.Resources = list(n.Scopes), list(n.Resources)
	return n
}

// describeID takes the identifier apart for policies.
func describeID(id cimd.ID, admittedBefore bool) ClientInput {
	scheme := "https"
	if id.IsOpaque() {
		scheme = ""
	}
	return ClientInput{
		Scheme: scheme, Host: id.Host, Port: id.Port, RegistrableDomain: id.RegistrableDomain(),
		Parents: list(id.Parents()), Labels: list(id.Labels()), Path: id.Path, Segments: list(id.Segments),
		Query: id.Query, Warnings: list(id.Warnings), AdmittedBefore: admittedBefore,
	}
}

// describeDocument fills what the document phase adds.
func (c *call) describeDocument() {
	doc := c.doc
	c.input.Published, c.input.Redirects = doc.Published, []cimd.Redirect{}
	for _, uri := range doc.Document.RedirectURIs {
		if r, err := cimd.ClassifyRedirect(uri, c.id); err == nil {
			c.input.Redirects = append(c.input.Redirects, r)
		}
	}
	c.input.Provenance = ProvenanceInput{
		SHA256: doc.SHA256, FetchedAt: doc.fetchedAt.UTC(), Age: max(0, int64(c.now.Sub(doc.fetchedAt).Seconds())),
		From: doc.from, Bytes: len(doc.body), Changed: []string{},
	}
	if c.live && c.row.DocumentSHA256 != doc.SHA256 {
		c.input.Provenance.Changed = changedMembers(c.row.Document, doc.Document)
	}
}

// changedMembers names the kept members in which two documents differ.
func changedMembers(a, b cimd.Document) []string {
	ma, mb := members(a), members(b)
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(ma)) {
		if !reflect.DeepEqual(ma[k], mb[k]) {
			out = append(out, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(mb)) {
		if _, ok := ma[k]; !ok {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

// members is a document as a JSON object.
func members(d cimd.Document) map[string]any {
	out := map[string]any{}
	if b, err := json.Marshal(d); err == nil {
		json.NewDecoder(bytes.NewReader(b)).Decode(&out)
	}
	return out
}
