package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// clientListCommand lists the clients that fit.
func clientListCommand(server *serverFlags) *cobra.Command {
	var f admin.ClientFilter
	c := &cobra.Command{
		Use:   "list",
		Short: "List the clients that were admitted or pinned",
		Long: "List the clients that were admitted, and those that an operator pinned; a client of the\n" +
			"configuration is among them once it came. With several filters all must fit. STATE is\n" +
			"the first that applies of blocked, expired, withdrawn, pending (a changed document\n" +
			"waits for approval), live and pinned (pinned, and nobody came with it yet).\n\n" +
			"csv is for spreadsheets: text that would run as a formula begins with an apostrophe.",
		Example: "  guestlist client list --label mcp -o csv\n" +
			"  guestlist client list --state pending",
		Args: noArgs,
	}
	fl := c.Flags()
	chooseFlag(fl, &f.Host, "host", "only clients whose identifier has this host")
	chooseFlag(fl, &f.Domain, "domain", "only clients of this registrable domain")
	chooseFlag(fl, &f.URLPrefix, "url-prefix", "only clients whose identifier begins so")
	chooseFlag(fl, &f.Document, "document", "only clients with the document of this SHA-256")
	chooseFlag(fl, &f.Policy, "policy", "only clients that this policy let in")
	chooseFlag(fl, &f.Label, "label", "only clients with this label, one of the tags of their policy")
	chooseFlag(fl, (*string)(&f.Registration), "registration", "only clients known by: cimd, pinned or registered")
	chooseFlag(fl, (*string)(&f.State), "state", "only clients in this state: live, expired, pending, withdrawn, blocked or pinned")
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		rows, err := allClients(c.Context(), api, f)
		if err != nil {
			return err
		}
		return clientTable(rows).print(c.OutOrStdout(), *format)
	}
	return c
}

// allClients reads every page.
func allClients(ctx context.Context, api *admin.Client, f admin.ClientFilter) ([]admin.ClientRow, error) {
	var rows []admin.ClientRow
	for after := ""; ; {
		page, err := api.Clients(ctx, f, after, clientPageSize)
		if err != nil {
			return nil, err
		}
		rows = append(rows, page.Clients...)
		if after = page.Next; after == "" {
			return rows, nil
		}
	}
}

// clientSheet are the columns of csv; new ones are added behind them.
var clientSheet = []string{
	"client_id", "client_name", "domain", "registration", "pinned", "state", "policy", "labels", "created_at", "fetched_at", "fresh_until",
	"expires_at", "document_sha256", "revision",
}

// clientTable shows clients one per line.
func clientTable(rows []admin.ClientRow) table {
	t := table{columns: []string{"CLIENT", "NAME", "POLICY", "STATE", "EXPIRES"}, sheet: [][]string{clientSheet}}
	for _, row := range rows {
		policy, labels := strings.Join(row.Policy, ", "), strings.Join(row.Tags, ", ")
		t.values = append(t.values, row)
		t.rows = append(t.rows, []string{row.ID, row.Document.ClientName, policy, string(row.State), stampIf(row.ExpiresAt, "-")})
		pinned := "no"
		if row.Pinned {
			pinned = "yes"
		}
		t.sheet = append(t.sheet, []string{
			row.ID, row.Document.ClientName, row.Domain, string(row.Registration), pinned, string(row.State), policy, labels,
			stampIf(row.CreatedAt, ""), stampIf(row.FetchedAt, ""), stampIf(row.FreshUntil, ""), stampIf(row.ExpiresAt, ""), row.DocumentSHA256, row.Revision,
		})
	}
	return t
}

// stampIf is stampColumn, or none for a time that is not set.
func stampIf(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return stampColumn(t)
}
