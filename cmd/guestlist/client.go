package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// clientPageSize is how many rows are asked for at a time.
const clientPageSize = 500

// clientCommand looks at the clients of a running server.
func clientCommand() *cobra.Command {
	server := &serverFlags{}
	return askCommand("client", "Look at the clients of a running server", server,
		clientListCommand(server), clientShowCommand(server))
}

// clientListCommand lists all client rows.
func clientListCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the clients that were admitted",
		Args:  noArgs,
	}
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		t := table{columns: []string{"CLIENT", "NAME", "POLICY", "STATE", "EXPIRES"}}
		for after := ""; ; {
			page, err := api.Clients(c.Context(), after, clientPageSize)
			if err != nil {
				return err
			}
			for _, row := range page.Clients {
				t.rows = append(t.rows, visibleRow(row.ID, row.Document.ClientName, strings.Join(row.Policy, ", "), state(row), stampColumn(row.ExpiresAt)))
				t.values = append(t.values, row)
			}
			if after = page.Next; after == "" {
				return t.print(quietFor(c.OutOrStdout(), *format), *format)
			}
		}
	}
	return c
}

// clientShowCommand shows one client row.
func clientShowCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "show URL",
		Short: "Show one client: its life, its document and who let it in",
		Args:  oneArg,
	}
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		row, err := api.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		return printOne(c.OutOrStdout(), *format, row, func(w io.Writer) error { return describeClient(w, row) })
	}
	return c
}

// state is the one word on a client's life.
func state(row admin.ClientRow) string {
	if row.Expired {
		return "expired"
	}
	return "live"
}

// describeClient writes a page for people about one client.
func describeClient(w io.Writer, row admin.ClientRow) error {
	doc, err := json.Marshal(row.Document)
	if err != nil {
		return fmt.Errorf("show %s: %w", row.ID, err)
	}
	p := &page{}
	p.field(0, "client", row.ID)
	p.field(0, "name", row.Document.ClientName)
	p.field(0, "state", state(row))
	p.field(0, "registration", string(row.Registration))
	p.field(0, "incarnation", strconv.FormatUint(row.Incarnation, 10))
	p.field(0, "policy", strings.Join(row.Policy, ", "))
	p.field(0, "tags", strings.Join(row.Tags, ", "))
	p.field(0, "created", stamp(row.CreatedAt))
	p.field(0, "fetched", stamp(row.FetchedAt))
	p.field(0, "fresh until", stamp(row.FreshUntil))
	p.field(0, "usable until", stamp(row.UsableUntil))
	p.field(0, "expires", stamp(row.ExpiresAt))
	p.field(0, "revision", row.Revision)
	p.field(0, "document", fmt.Sprintf("%s (%d bytes)", row.DocumentSHA256, row.DocumentBytes))
	p.line(0, "members that are kept")
	p.members(1, flatten(doc))
	_, err = w.Write(p.buf.Bytes())
	return err
}
