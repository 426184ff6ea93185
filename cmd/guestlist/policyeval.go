package main

import (
	"context"
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
	"guestlist/broker/cimd"
	"guestlist/broker/decisionlog"
	"guestlist/broker/fetch"
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
	file := &fileDocument{path: f.document, now: now}
	u := &imagined{}
	b, err := broker.New(f.brokerConfig(cfg, file, u, now))
	if err != nil {
		return nil, err
	}
	if err := b.Activate(c.Context(), set, "", u, func(context.Context) error { return nil }); err != nil {
		return nil, err
	}
	u.records = nil
	req, err := f.request(clientID, file)
	if err != nil {
		return nil, err
	}
	a, err := b.Admit(c.Context(), u, req)
	if file.missing {
		return nil, errors.New("the url phase lets the client go on, so its document is needed. Remedy: add --document FILE")
	}
	if err == nil && f.user != "" {
		req.Facts = a.Request
		req.Person = &broker.UserInput{
			Sub: f.user, Groups: append([]string{}, f.groups...), Claims: map[string]any{}, AMR: []string{"pwd"}, AuthTime: now, Issuer: f.issuer,
		}
		b.Admit(c.Context(), u, req) // its answer is in the record
	}
	return u.records, nil
}

// brokerConfig is the server's, as far as it is known.
func (f evalFlags) brokerConfig(cfg *config, file *fileDocument, u *imagined, now time.Time) broker.Config {
	var resources []broker.Resource
	issuer := f.issuer
	var cache broker.CacheBounds
	var known []broker.Registered
	if cfg != nil {
		p, _ := planFrom(*cfg) // certificates do not matter here
		resources, issuer, cache = resourcesOf(*cfg), cfg.Issuer, p.cache
		known = cfg.Clients
	} else if len(f.resource) > 0 {
		for _, id := range f.resource {
			resources = append(resources, broker.Resource{ID: id, Name: id})
		}
	} else {
		resources = []broker.Resource{{ID: "https://resource.example", Name: "example"}}
	}
	return broker.Config{
		Issuer: issuer, Fetch: file, Offer: offer(resources), Now: func() time.Time { return now }, Zone: time.Local, Cache: cache, Registered: known,
		Later:     func(r decisionlog.Record) error { u.records = append(u.records, r); return nil },
		Pseudonym: func(subject string) string { return subject },
	}
}

// request imagines the authorization request.
func (f evalFlags) request(clientID string, file *fileDocument) (broker.Request, error) {
	redirect := f.redirect
	if redirect == "" && f.document != "" {
		body, err := os.ReadFile(f.document)
		if err != nil {
			return broker.Request{}, err
		}
		if id, err := cimd.Parse(clientID); err == nil {
			if p, err := cimd.ParseDocument(body, id, cimd.ProfileCIMD); err == nil && len(p.Document.RedirectURIs) > 0 {
				redirect = p.Document.RedirectURIs[0]
			}
		}
	}
	req := broker.Request{
		RequestID: "policy-eval", ClientID: clientID,
		Facts: broker.RequestInput{
			Scopes: strings.Fields(f.scope), Resources: f.resource, ResponseType: "code", GrantType: "authorization_code", PKCE: true,
			Source: broker.SourceInput{IP: f.ip},
		},
	}
	if redirect != "" {
		req.RedirectURI = &redirect
	}
	return req, nil
}

// fileDocument answers every fetch with one file.
type fileDocument struct {
	path    string
	now     time.Time
	missing bool // a document was wanted and none was given
}

// Document implements broker.Fetcher.
func (d *fileDocument) Document(_ context.Context, _ cimd.ID, lim fetch.Limits, _ fetch.Held) (fetch.Document, error) {
	if d.path == "" {
		d.missing = true
		return fetch.Document{}, errors.New("no document was given")
	}
	body, err := os.ReadFile(d.path)
	if err != nil {
		return fetch.Document{}, err
	}
	if int64(len(body)) > lim.MaxBytes {
		return fetch.Document{}, &fetch.Error{Reason: string(broker.ReasonFetchTooLarge), Detail: fmt.Sprintf("%d bytes, at most %d", len(body), lim.MaxBytes)}
	}
	return fetch.Document{Body: body, FetchedAt: d.now, FreshFor: lim.Default}, nil
}

// imagined is a store of one client that ends with the command.
type imagined struct {
	records []decisionlog.Record
	row     *broker.Client
	epoch   uint64
	active  string
}

// The methods of broker.Unit; what is staged takes effect at once.

func (u *imagined) Epoch(context.Context) (uint64, error) { return u.epoch, nil }
func (u *imagined) RequireEpoch(uint64)                   {}
func (u *imagined) Client(context.Context, string) (broker.Client, bool, error) {
	if u.row == nil {
		return broker.Client{}, false, nil
	}
	return *u.row, true, nil
}
func (u *imagined) CreateClient(c broker.Client)                       { u.row = &c }
func (u *imagined) UpdateClient(c broker.Client)                       { u.row = &c }
func (u *imagined) MoveKeys(c broker.Client)                           { u.row = &c }
func (u *imagined) EndClient(string, uint64, time.Time, broker.Reason) { u.row = nil }
func (u *imagined) CapClients(string, []string, broker.Caps)           {}
func (u *imagined) ClientCount(context.Context, string, []string) (broker.Caps, error) {
	return broker.Caps{}, nil
}
func (u *imagined) Blocked(context.Context, broker.BlockKind, string) (broker.Block, bool, error) {
	return broker.Block{}, false, nil
}
func (u *imagined) PutBlock(broker.Block)              {}
func (u *imagined) DropBlock(broker.BlockKind, string) {}
func (u *imagined) Pin(context.Context, string) (broker.Pin, bool, error) {
	return broker.Pin{}, false, nil
}
func (u *imagined) PutPin(broker.Pin)                              {}
func (u *imagined) DropPin(string)                                 {}
func (u *imagined) PutVersion(broker.Version)                      {}
func (u *imagined) ExtendClient(string, uint64, time.Time)         {}
func (u *imagined) Append(r decisionlog.Record)                    { u.records = append(u.records, r) }
func (u *imagined) Activate(revision string)                       { u.active, u.epoch = revision, u.epoch+1 }
func (u *imagined) ActiveRevision(context.Context) (string, error) { return u.active, nil }
func (u *imagined) Empty() bool                                    { return true }
