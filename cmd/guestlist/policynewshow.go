package main

import (
	"fmt"
	"io"
	"strings"

	"guestlist/policies/authoring"
)

// drafted is a draft and the files it became.
type drafted struct {
	authoring.Draft
	files []string
}

// value is the draft for machines.
func (d drafted) value() map[string]any {
	kept := make([]map[string]any, 0, len(d.Redirects))
	for _, r := range d.Redirects {
		kept = append(kept, map[string]any{"uri": r.URI, "kind": r.Kind, "relation": r.Relation})
	}
	return map[string]any{
		"policy": d.Name, "client_id": d.ID.String(), "warnings": append([]string{}, d.ID.Warnings...), "document": d.Parsed.Document,
		"sha256": d.Parsed.SHA256, "dropped": append([]string{}, d.Parsed.Dropped...), "demands": append([]string{}, d.Demands...),
		"redirects": kept, "files": d.files, "rego": string(d.Policy), "test": string(d.Test), "list": string(d.List),
	}
}

// describe writes a page for people: what the document says, then the files or
// their text.
func (d drafted) describe(w io.Writer, text bool) error {
	doc, p := d.Parsed.Document, &page{}
	p.field(0, "client", d.ID.String())
	p.field(0, "warnings", strings.Join(d.ID.Warnings, ", "))
	p.field(0, "calls itself", doc.ClientName)
	p.field(0, "document", "sha256:"+d.Parsed.SHA256)
	for _, r := range d.Redirects {
		p.field(0, "redirect", fmt.Sprintf("%s  %s, %s", r.URI, r.Kind, r.Relation))
	}
	p.field(0, "grant types", strings.Join(doc.GrantTypes, ", "))
	p.field(0, "authentication", strings.Join(doc.AuthMethods(), ", "))
	scope := "it asks for none"
	if doc.Scope != nil && *doc.Scope != "" {
		scope = *doc.Scope
	}
	p.field(0, "scope", scope)
	p.field(0, "keys at", doc.JWKSURI)
	p.field(0, "dropped", strings.Join(d.Parsed.Dropped, ", "))
	p.field(0, "demands", strings.Join(d.Demands, ", "))
	for _, name := range d.files {
		p.field(0, "written", name)
	}
	if text {
		for _, body := range [][]byte{d.Policy, d.Test, d.List} {
			p.line(0, "")
			for line := range strings.Lines(string(body)) {
				p.buf.WriteString(line)
			}
		}
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}
