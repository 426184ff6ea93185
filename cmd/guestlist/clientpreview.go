package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/server/admin"
)

// clientPreviewCommand shows what would come of a client's next flow.
func clientPreviewCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "preview URL",
		Short: "Show what would come of a client's next flow, and keep nothing",
		Long: "Make every check that the server makes at the start of a flow, in its own order: the\n" +
			"form of the identifier, policy, the fetch of the document, its members, policy about\n" +
			"the document. The document is fetched now; nothing is stored and nothing recorded.\n\n" +
			"Exit code 0: it would be admitted; 1: the question could not be asked; 2: refused.",
		Example: "  guestlist client preview https://agents.example/oauth/client.json",
		Args:    oneArg,
	}
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		p, err := api.Preview(c.Context(), args[0])
		if err != nil {
			return err
		}
		err = printOne(c.OutOrStdout(), *format, p, func(w io.Writer) error { return describePreview(w, p) })
		if err == nil && !p.Allowed {
			return &findings{}
		}
		return err
	}
	return c
}

// describePreview writes a page for people, in the words of audit why.
func describePreview(w io.Writer, v admin.Preview) error {
	r, err := previewRecord(v)
	if err != nil {
		return fmt.Errorf("preview %s: %w", v.ClientID, err)
	}
	doc, err := json.Marshal(v.Document)
	if err != nil {
		return fmt.Errorf("preview %s: %w", v.ClientID, err)
	}
	p := &page{}
	p.field(0, "client", v.ClientID)
	p.field(0, "would be", r.Outcome)
	if v.Reason != "" {
		p.field(0, "stranger sees", string(v.Reason.Public()))
		p.field(0, "reason", reasonLine(string(v.Reason)))
		p.field(0, "detail", v.Detail)
	}
	p.field(0, "registration", string(v.Registration))
	p.field(0, "warnings", listed(v.Warnings))
	p.field(0, "checks", checksOf(v.Preview))
	for _, ph := range r.Phases {
		p.phase(ph)
	}
	p.terms(r)
	if v.Published != "" {
		p.previewDocument(v, doc)
	}
	_, err = w.Write(p.buf.Bytes())
	return err
}

// previewDocument writes what was seen of the document.
func (p *page) previewDocument(v admin.Preview, doc json.RawMessage) {
	p.field(1, "document", fmt.Sprintf("%s (%d bytes)", v.Provenance.SHA256, len(v.Published)))
	if v.Known {
		p.field(1, "in force", v.InForce)
		p.field(1, "changes", listed(v.Changes))
	}
	if v.Waits {
		p.field(1, "waits", "it would wait for guestlist client approve")
	}
	p.line(1, "members that are kept")
	p.members(2, flatten(doc))
	p.field(1, "dropped", strings.Join(v.Dropped, ", "))
	for _, r := range v.Redirects {
		p.field(1, "redirect kept", r.URI+"  "+r.Kind+", "+r.Relation)
	}
}

// previewRecord is the record that a flow would leave.
func previewRecord(v admin.Preview) (logged, error) {
	r := decisionlog.Record{Outcome: decisionlog.OutcomeAdmitted, Reason: string(v.Reason), Phases: v.Phases, Cut: v.Cut}
	if !v.Allowed {
		r.Outcome = decisionlog.OutcomeRefused
	}
	matched := func(ph decisionlog.Phase) bool { return len(ph.Winner) > 0 }
	if !slices.ContainsFunc(v.Phases, matched) {
		return logged{Record: r}, nil
	}
	err := r.Set(&r.Settings, v.Settings)
	if v.Published != "" {
		err = errors.Join(err, r.Set(&r.Effective, v.Effective))
	}
	return logged{Record: r}, err
}

// checks are the server's checks in their order.
var checks = []string{"form", "known", "url", "fetch", "document"}

// checksOf says which checks were passed and where they ended.
func checksOf(v broker.Preview) string {
	var out []string
	for _, name := range checks {
		if name == v.Reached && !v.Allowed {
			return strings.Join(append(out, name+" refused"), ", ")
		}
		out = append(out, name+" passed")
		if name == v.Reached {
			break
		}
	}
	return strings.Join(out, ", ")
}
