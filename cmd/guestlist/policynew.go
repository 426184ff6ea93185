package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/broker/cimd"
	"guestlist/broker/fetch"
	"guestlist/policies"
	"guestlist/policies/authoring"
)

// maxDocumentBytes is the most that any policy lets a document have.
const maxDocumentBytes = 65536

// newFlags say where the document comes from and where the policy goes.
type newFlags struct {
	from, document, config string
	dir, scope             string
	print                  bool
	options                authoring.DraftOptions
}

// policyNewCommand draws a policy from a document.
func policyNewCommand() *cobra.Command {
	var f newFlags
	c := &cobra.Command{
		Use:   "new NAME --from URL|--document FILE",
		Short: "Draw a policy for one client from its document, with tests",
		Long: "Fetch a client ID metadata document, as the server would, or read it from a file; show what\n" +
			"it says; write NAME.rego, which names the client by its exact address on the least terms\n" +
			"that the document needs, and NAME_test.rego. Files that are there are kept, and nothing is\n" +
			"written into a directory that would not load with them.\n\n" +
			"Exit code 0: done; 1: not done, the document would be refused, or a file is there; 2: done,\n" +
			"and loading has something to say about it.",
		Example: "  guestlist policy new chatgpt --from https://chatgpt.com/oauth/client.json --dir guests\n" +
			"  guestlist policy new editor --document client.json --print",
		Args: oneArg,
	}
	format := oneFlag(c)
	fl := c.Flags()
	fl.StringVar(&f.from, "from", "", "client identifier URL: its document is fetched")
	fl.StringVar(&f.document, "document", "", "file with the document; its client_id is the client")
	fl.StringVar(&f.config, "config", "", "configuration file: fetch as that server does, by its proxy and resolver")
	fl.StringVar(&f.dir, "dir", ".", "policy directory")
	fl.BoolVar(&f.print, "print", false, "show the policy and write nothing")
	fl.BoolVar(&f.options.List, "list", false, "name the client in lists/NAME/data.json, for others to follow")
	fl.StringVar(&f.options.Owner, "owner", defaultOwner, "who answers for the policy")
	fl.StringVar(&f.scope, "scope", "", "scopes the client may have, separated by spaces (default: what the document asks for)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.scope != "" {
			f.options.Scopes = strings.Fields(f.scope)
		}
		f.options.Name, f.options.Now = args[0], time.Now()
		return f.run(c, *format)
	}
	return c
}

// run draws, shows and writes.
func (f *newFlags) run(c *cobra.Command, format string) error {
	id, body, err := f.read(c.Context())
	if err != nil {
		return err
	}
	draft, err := authoring.NewDraft(id, body, f.options)
	if err != nil {
		return err
	}
	var files []string
	var found []policies.Finding
	if !f.print {
		if files, found, err = draft.Save(c.Context(), f.dir); err != nil {
			return err
		}
	}
	d := drafted{draft, append([]string{}, files...)}
	err = printOne(c.OutOrStdout(), format, d.value(), func(w io.Writer) error { return d.describe(w, f.print) })
	if err != nil || len(found) == 0 {
		return err
	}
	lines := make([]string, len(found))
	for i, n := range found {
		lines[i] = n.String()
	}
	return &findings{text: strings.Join(lines, "\n")}
}

// read brings the document.
func (f *newFlags) read(ctx context.Context) (cimd.ID, []byte, error) {
	if (f.from == "") == (f.document == "") {
		return cimd.ID{}, nil, errors.New("name the document by one of --from URL and --document FILE")
	}
	if f.document != "" {
		return openDocument(f.document)
	}
	id, err := cimd.Parse(f.from)
	if err != nil {
		return id, nil, authoring.NoClient(f.from, err)
	}
	var door fetch.Config
	if f.config != "" {
		c, err := loadConfig(f.config)
		if err != nil {
			return id, nil, err
		}
		p, err := planFrom(c)
		if err != nil {
			return id, nil, err
		}
		door = p.fetching
	}
	guarded, err := fetch.New(door)
	if err != nil {
		return id, nil, err
	}
	lim := fetch.DefaultLimits()
	lim.MaxBytes, lim.AllowPort = maxDocumentBytes, id.Port != ""
	got, err := guarded.Document(ctx, id, lim, fetch.Held{})
	var e *fetch.Error
	if errors.As(err, &e) {
		return id, nil, fmt.Errorf("fetch %s: %s (%s). Remedy: see whether the address is right, or save the document and name it with --document", id, e.Detail, e.Reason)
	}
	return id, got.Body, err
}

// openDocument reads a document from a file; its client_id says whose it is.
func openDocument(name string) (cimd.ID, []byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return cimd.ID{}, nil, err
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, maxDocumentBytes+1))
	if err == nil && len(body) > maxDocumentBytes {
		err = fmt.Errorf("%s: more than %d bytes are no client ID metadata document", name, maxDocumentBytes)
	}
	if err != nil {
		return cimd.ID{}, nil, err
	}
	var doc struct {
		ClientID string `json:"client_id"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return cimd.ID{}, nil, fmt.Errorf("%s is no client ID metadata document: %w", name, err)
	}
	id, err := cimd.Parse(doc.ClientID)
	if err != nil {
		return id, nil, fmt.Errorf("%s: client_id: %w", name, authoring.NoClient(doc.ClientID, err))
	}
	return id, body, nil
}
