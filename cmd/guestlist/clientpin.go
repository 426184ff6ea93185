package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// maxDocument bounds a document that is read from a file: the largest size
// that can be configured.
const maxDocument = 64 << 10

// clientPinCommand stores a document for a client.
func clientPinCommand(server *serverFlags) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "pin URL",
		Short: "Store a client's document, so that nothing is fetched for it any more",
		Long: "Store a client's document. From the next flow on it is used in place of the one that\n" +
			"its host publishes, and nothing is fetched any more; policy still decides, as client preview shows. Without\n" +
			"--document it is the one that the server holds for the client, or fetches now; it is\n" +
			"shown first, and exactly that one is pinned. A pinned document must have\n" +
			"redirect_uris, client_uri and response_types. The remedy for a host that answers the\n" +
			"server with 403 is to pin.",
		Example: "  guestlist client pin https://agents.example/oauth/client.json --document client.json\n" +
			"  guestlist client refresh https://agents.example/oauth/client.json   # compare with its host",
		Args: oneArg,
	}
	chooseFlag(c.Flags(), &file, "document", "file with the document; - is standard input")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		var document []byte
		if file != "" {
			document, err = readDocument(c, file)
		} else {
			document, err = heldDocument(c, api, args[0])
		}
		if err != nil {
			return err
		}
		if err := api.Pin(c.Context(), args[0], document); err != nil {
			return err
		}
		return say(c, "pinned %s: from its next flow on this document is used and none is fetched", args[0])
	}
	return c
}

// readDocument reads a document from a file.
func readDocument(c *cobra.Command, file string) ([]byte, error) {
	r := c.InOrStdin()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("--document: %w", err)
		}
		defer f.Close()
		r = f
	}
	document, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("--document %s: %w", file, err)
	case len(document) > maxDocument:
		return nil, fmt.Errorf("--document %s has more than %d bytes", file, maxDocument)
	case len(document) == 0:
		return nil, fmt.Errorf("--document %s is empty", file)
	}
	return document, nil
}

// heldDocument is the document that the server holds for a client, else the
// one it fetches now. It is shown.
func heldDocument(c *cobra.Command, api *admin.Client, id string) ([]byte, error) {
	row, err := api.Show(c.Context(), id)
	var refusal *admin.Refusal
	switch {
	case err == nil:
		return []byte(row.Published), showDocument(c, "the document that the server holds", row.DocumentSHA256, row.Published)
	case !errors.As(err, &refusal) || refusal.Status != http.StatusNotFound:
		return nil, err
	}
	p, err := api.Preview(c.Context(), id)
	if err != nil {
		return nil, err
	}
	if p.Published == "" {
		why, _, _ := strings.Cut(p.Detail, "; remedy: ") // which is this command
		return nil, fmt.Errorf("no document of %s could be had: %s. Remedy: give it with --document FILE", visible(id), visible(why))
	}
	return []byte(p.Published), showDocument(c, "the document that its host publishes now", p.Provenance.SHA256, p.Published)
}

// showDocument prints a document member by member.
func showDocument(c *cobra.Command, what, sha256, published string) error {
	p := &page{}
	p.line(0, "%s, %s", what, sha256)
	p.members(1, flatten([]byte(published)))
	_, err := c.OutOrStdout().Write(p.buf.Bytes())
	return err
}

// clientUnpinCommand ends a pin.
func clientUnpinCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use:     "unpin URL",
		Short:   "Use the document that a client's host publishes again",
		Long:    "End a client's pin: from the next flow on the document that its host publishes counts\nagain, and is fetched.",
		Example: "  guestlist client unpin https://agents.example/oauth/client.json",
		Args:    oneArg,
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		if err := api.Unpin(c.Context(), args[0]); err != nil {
			return err
		}
		return say(c, "unpinned %s: from its next flow on its host's document counts", args[0])
	}
	return c
}
