package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/broker/decisionlog"
	"guestlist/broker/rehearsal"
	"guestlist/policies"
)

// evalFlags are the facts of an imagined request.
type evalFlags struct {
	source   policySource
	document string
	redirect string
	scope    string
	resource []string
	user     string
	groups   []string
	ip       string
	at       string
	issuer   string
	verbose  bool
}

// policyEvalCommand asks what the policies decide about one client: the same
// code as the server's, without a server.
func policyEvalCommand() *cobra.Command {
	var f evalFlags
	c := &cobra.Command{
		Use:   "eval URL",
		Short: "Ask what the policies decide about a client, and why",
		Long: "Decide about a client identifier URL as the server would, and explain the decision.\n" +
			"Nothing is fetched: give the document with --document. With --user the user phase is asked too.\n" +
			"Exit code 0: admitted; 1: the question could not be asked; 2: refused.",
		Example: "  guestlist policy eval https://agents.example/oauth/client.json --policies guests --document client.json\n" +
			"  guestlist policy eval https://agents.example/oauth/client.json --config guestlist.yaml --document client.json \\\n" +
			"      --user ada --groups eng --scope 'mcp:read mcp:write'",
		Args: oneArg,
	}
	format := outputFlag(c)
	fl := c.Flags()
	fl.StringVar(&f.source.dir, "policies", "", "policy directory")
	fl.StringVar(&f.source.starter, "starter", "", "a starter: deny_all, known_clients or development")
	fl.StringVar(&f.source.config, "config", "", "configuration file: its policies, resources, maxima and issuer (or GUESTLIST_CONFIG)")
	fl.StringVar(&f.document, "document", "", "file with the client ID metadata document")
	fl.StringVar(&f.redirect, "redirect-uri", "", "redirect_uri of the request (default: the document's first)")
	fl.StringVar(&f.scope, "scope", "", "scope of the request, separated by spaces")
	fl.StringSliceVar(&f.resource, "resource", nil, "resource of the request; without --config it is also the only one configured")
	fl.StringVar(&f.user, "user", "", "person who signs in")
	fl.StringSliceVar(&f.groups, "groups", nil, "groups of the person")
	fl.StringVar(&f.ip, "source", "192.0.2.1", "address the request comes from")
	fl.StringVar(&f.at, "at", "", "time of the request, RFC 3339 (default: now)")
	fl.StringVar(&f.issuer, "issuer", "https://issuer.example", "issuer, where no configuration names one")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show the policy input too")
	c.RunE = func(c *cobra.Command, args []string) error { return f.run(c, args[0], *format) }
	return c
}

// run asks and explains.
func (f evalFlags) run(c *cobra.Command, clientID, format string) error {
	if !slices.Contains([]string{"table", "json", "ndjson"}, format) {
		return fmt.Errorf("output format %q: want table, json or ndjson", format)
	}
	records, err := f.decide(c, clientID)
	if err != nil {
		return err
	}
	why, err := whyOf(records...)
	if err != nil {
		return err
	}
	err = printOne(c.OutOrStdout(), format, why, func(w io.Writer) error { return explain(w, why, f.verbose) })
	if err == nil && why.Reason != "" {
		return &findings{}
	}
	return err
}

// check refuses facts that no request can have, and those that would be
// ignored.
func (f evalFlags) check() error {
	if _, err := netip.ParseAddr(f.ip); err != nil {
		return fmt.Errorf("--source %q: want an address, for instance 192.0.2.1", f.ip)
	}
	if len(f.groups) > 0 && f.user == "" {
		return errors.New("--groups needs a person. Remedy: add --user NAME")
	}
	if what, remedy := issuerProblem(f.issuer); what != "" {
		return fmt.Errorf("--issuer %q %s. Remedy: %s", f.issuer, what, remedy)
	}
	for _, id := range f.resource {
		if what := resourceProblem(id); what != "" {
			return fmt.Errorf("--resource %q %s. Remedy: write the URL of the API, for instance https://mcp.example/mcp", id, what)
		}
	}
	return nil
}

// decide runs the admission on an imagined store.
func (f evalFlags) decide(c *cobra.Command, clientID string) ([]decisionlog.Record, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	set, cfg, err := f.source.load(c)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if f.at != "" {
		if now, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, fmt.Errorf("--at %q: want RFC 3339, for instance 2026-11-25T12:00:00Z", f.at)
		}
	}
	scene := rehearsal.Scene{ClientID: clientID, At: now, Request: broker.RequestInput{
		Scopes: strings.Fields(f.scope), Resources: f.resource, ResponseType: "code", GrantType: "authorization_code", PKCE: true,
		Source: broker.SourceInput{IP: f.ip},
	}}
	if f.redirect != "" {
		scene.RedirectURI = &f.redirect
	}
	if f.document != "" {
		if scene.Document, err = os.ReadFile(f.document); err != nil {
			return nil, err
		}
	}
	if f.user != "" {
		scene.Person = &broker.UserInput{
			Sub: f.user, Groups: append([]string{}, f.groups...), Claims: map[string]any{}, AMR: []string{"pwd"}, AuthTime: now, Issuer: f.issuer,
		}
	}
	records, err := f.stage(set, cfg).Play(c.Context(), scene)
	if errors.Is(err, rehearsal.ErrDocumentWanted) {
		return nil, fmt.Errorf("%w. Remedy: add --document FILE", err)
	}
	return records, err
}

// stage is the server, as far as it is known.
func (f evalFlags) stage(set *policies.Set, cfg *config) rehearsal.Stage {
	s := rehearsal.Stage{Policy: set, Issuer: f.issuer, Zone: time.Local}
	var resources []broker.Resource
	if cfg != nil {
		p, _ := planFrom(*cfg) // certificates do not matter here
		resources, s.Issuer, s.Cache, s.Registered = resourcesOf(*cfg), cfg.Issuer, p.cache, cfg.Clients
	} else if len(f.resource) > 0 {
		for _, id := range f.resource {
			resources = append(resources, broker.Resource{ID: id, Name: id})
		}
	} else {
		resources = []broker.Resource{{ID: "https://resource.example", Name: "example"}}
	}
	s.Offer = offer(resources)
	return s
}
