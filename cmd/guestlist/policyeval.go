package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
)

// evalFlags are the facts of an imagined request.
type evalFlags struct {
	source   policySource
	issuer   string
	phase    string
	document string
	fetch    bool
	redirect string
	scope    string
	resource []string
	ip       string
	agent    string
	prompt   string
	par      bool
	dpop     bool
	at       string
	seen     string
	hostSeen string
	person   evalPerson
	refresh  evalRefresh
	verbose  bool
}

// policyEvalCommand asks what the policies decide about one client: the same
// code as the server's, without a server.
func policyEvalCommand() *cobra.Command {
	var f evalFlags
	c := &cobra.Command{
		Use:   "eval URL",
		Short: "Ask what the policies decide about a client, and why",
		Long: "Decide about a client identifier URL as the server would, by the server's own code, and\n" +
			"explain the decision phase by phase: which policies match and which nearly do, who wins\n" +
			"and why, every denial with the line of its rule, every setting with who gave it and who\n" +
			"narrowed it, and what would be cut. Nothing is stored, and nothing is fetched but with\n" +
			"--fetch. It goes as far as the facts reach: the document for phase document, --user for\n" +
			"phase user, --refresh-after for phase refresh.\n\n" +
			"With --config the maxima, resources, facts, registered clients and switches of that server count\n" +
			"too, and its blocks and pins while it runs.\n\n" +
			"Exit code 0: admitted, or with --phase url not refused; 1: the question could not be asked; 2: refused.",
		Example: "  guestlist policy eval https://agents.example/oauth/client.json --policies guests --document client.json\n" +
			"  guestlist policy eval https://agents.example/oauth/client.json --policies guests --phase url\n" +
			"  guestlist policy eval https://agents.example/oauth/client.json --config guestlist.yaml --fetch \\\n" +
			"      --user ada --groups eng --scope 'mcp:read mcp:write' --at +2h\n" +
			"  guestlist policy eval https://agents.example/oauth/client.json --config guestlist.yaml --fetch \\\n" +
			"      --user ada.yaml --refresh-after 2h --refresh-source 198.51.100.7",
		Args: oneArg,
	}
	format := oneFlag(c)
	f.register(c)
	c.RunE = func(c *cobra.Command, args []string) error { return f.run(c, args[0], *format) }
	return c
}

// register adds the flags.
func (f *evalFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.source.dir, "policies", "", "policy directory")
	fl.StringVar(&f.source.starter, "starter", "", "a starter: deny_all, known_clients or development")
	fl.StringVar(&f.source.config, "config", "", "configuration file of a server (or GUESTLIST_CONFIG)")
	fl.StringVar(&f.issuer, "issuer", "https://issuer.example", "issuer, where no configuration names one")
	fl.StringVar(&f.phase, "phase", "", "last phase to ask: url, document, user or refresh (default: as far as the facts reach)")
	fl.StringVar(&f.source.facts, "facts", "", "file of facts (default: the configuration's, else the default of each)")
	fl.StringVar(&f.document, "document", "", "file with the client ID metadata document")
	fl.BoolVar(&f.fetch, "fetch", false, "fetch the document as the server would, redirects not followed")
	fl.StringVar(&f.redirect, "redirect-uri", "", "redirect_uri of the request (default: the document's first)")
	fl.StringVar(&f.scope, "scope", "", "scope of the request, separated by spaces")
	fl.StringSliceVar(&f.resource, "resource", nil, "resource of the request; without --config it is also the only one configured")
	fl.StringVar(&f.ip, "source", "192.0.2.1", "address the request comes from")
	fl.StringVar(&f.agent, "user-agent", "", "User-Agent of the request")
	fl.StringVar(&f.prompt, "prompt", "", "prompt of the request: login, consent, select_account")
	fl.BoolVar(&f.par, "par", false, "the request was pushed (RFC 9126)")
	fl.BoolVar(&f.dpop, "dpop", false, "the request is bound to a DPoP key (RFC 9449)")
	fl.StringVar(&f.at, "at", "", "time of the request: RFC 3339, or from now as +2h or -1d (default: now)")
	fl.StringVar(&f.seen, "first-seen", "", "when the client was first admitted: RFC 3339, or before the request as -3d (default: never)")
	fl.StringVar(&f.hostSeen, "host-first-seen", "", "when any client of its host was first admitted (default: never)")
	fl.StringVar(&f.person.name, "user", "", "person who signs in: a name, or a .json or .yaml file with sub, groups, claims, acr, amr, auth_time, issuer")
	fl.StringSliceVar(&f.person.groups, "groups", nil, "groups of a person given by name")
	fl.StringVar(&f.refresh.after, "refresh-after", "", "refresh what was granted, so long after the request")
	fl.StringVar(&f.refresh.ip, "refresh-source", "", "address the refresh comes from (default: --source)")
	fl.StringSliceVar(&f.refresh.groups, "refresh-groups", nil, "groups of the person by then (default: as they were)")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show every setting, what denials read, and the policy input")
}

// evalAnswer is what policy eval prints as JSON. Its members are stable.
type evalAnswer struct {
	ClientID string `json:"client_id"`
	Outcome  string `json:"outcome"` // admitted, refused; open: phase url lets the client go on, and nothing more was asked
	Phase    string `json:"phase"`   // the last one asked; empty: none was
	whyAnswer
	Notes []string `json:"notes"` // what the answer does not know
}

// run asks and explains.
func (f evalFlags) run(c *cobra.Command, clientID, format string) error {
	records, notes, asked := f.decide(c, clientID)
	if len(records) == 0 {
		return asked
	}
	why, err := whyOf(records...)
	if err != nil {
		return err
	}
	last := records[len(records)-1]
	a := evalAnswer{ClientID: clientID, Outcome: decisionlog.OutcomeAdmitted, Phase: last.Phase, whyAnswer: why, Notes: notes}
	if last.Outcome == decisionlog.OutcomeRefused || last.Outcome == rehearsal.OutcomeOpen {
		a.Outcome = last.Outcome
	}
	if err := printOne(c.OutOrStdout(), format, a, func(w io.Writer) error { return f.page(w, a) }); err != nil {
		return err
	}
	switch {
	case asked != nil:
		return asked
	case why.Reason != "":
		return &findings{}
	case f.wantsRefresh() && last.Phase != string(broker.PhaseRefresh):
		return &findings{text: "nothing to refresh: on these terms no refresh token is given out (refresh_token.issue, grant_types)"}
	}
	return nil
}

// page explains, and says what is not known.
func (f evalFlags) page(w io.Writer, a evalAnswer) error {
	if err := explain(w, a.whyAnswer, f.verbose); err != nil {
		return err
	}
	p := &page{}
	p.line(0, "")
	for _, n := range a.Notes {
		p.field(0, "note", n)
	}
	_, err := w.Write(p.buf.Bytes())
	return err
}

// decide plays the scene. Records may come with an error: how far it came.
func (f evalFlags) decide(c *cobra.Command, clientID string) ([]decisionlog.Record, []string, error) {
	if err := f.check(); err != nil {
		return nil, nil, err
	}
	set, cfg, err := f.source.load(c)
	if err != nil {
		return nil, nil, err
	}
	if cfg != nil {
		f.issuer = cfg.Issuer
	}
	scene, err := f.scene(clientID)
	if err != nil {
		return nil, nil, err
	}
	if f.fetch {
		if scene.Fetch, err = evalDoor(cfg, scene.At); err != nil {
			return nil, nil, err
		}
	}
	stage, notes := f.stage(c.Context(), set, cfg, clientID)
	records, err := stage.Play(c.Context(), scene)
	showMask(c.Context(), set, records)
	switch {
	case errors.Is(err, rehearsal.ErrDocumentWanted):
		err = fmt.Errorf("%w. Remedy: add --document FILE or --fetch, or ask no more with --phase url", err)
	case err != nil && len(records) > 0:
		err = fmt.Errorf("the document could not be fetched from here: %w. Remedy: give it with --document FILE", err)
	}
	return records, notes, err
}

// showMask tells what admission.mask would take of each record; the records
// stay whole.
func showMask(ctx context.Context, set *policies.Set, records []decisionlog.Record) {
	for i, r := range records {
		kept, _ := set.Mask(ctx, r) // an error is in its MaskError
		records[i].Erased, records[i].Masked, records[i].MaskError = kept.Erased, kept.Masked, kept.MaskError
	}
}
