package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// reportCommand holds reports about a running server.
func reportCommand() *cobra.Command {
	server := &serverFlags{}
	return askCommand("report", "Report on a running server", server, reportClientsCommand(server))
}

// reportClientsCommand reports who has access to what.
func reportClientsCommand(server *serverFlags) *cobra.Command {
	var f admin.ClientFilter
	c := &cobra.Command{
		Use:   "clients",
		Short: "Report which clients have access, to what, and for how many people",
		Long: "Report which clients have access, to what, since when, for how many people, and when they\n" +
			"used it last. Counted are grants that live; OFFLINE are those with a refresh token that\n" +
			"can be used, so that the client works without the person. The report names no person.\n\n" +
			"json is the whole report with its totals, csv and ndjson one client a line.",
		Example: "  guestlist report clients\n" +
			"  guestlist report clients --label mcp -o csv",
		Args: noArgs,
	}
	fl := c.Flags()
	chooseFlag(fl, &f.Host, "host", "only clients whose identifier has this host")
	chooseFlag(fl, &f.Domain, "domain", "only clients of this registrable domain")
	chooseFlag(fl, &f.Policy, "policy", "only clients that this policy let in")
	chooseFlag(fl, &f.Label, "label", "only clients with this label, one of the tags of their policy")
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		report, err := api.ReportClients(c.Context(), f)
		if err != nil {
			return err
		}
		return printReport(c.OutOrStdout(), *format, report)
	}
	return c
}

// reportSheet are the columns of csv; new ones are added behind them.
var reportSheet = []string{
	"client_id", "client_name", "host", "domain", "registration", "state", "policy", "labels", "scopes", "resources", "people", "grants", "offline",
	"created_at", "first_grant_at", "last_used_at", "expires_at", "document_sha256", "revision",
}

// printReport writes a report: for people with its totals in the last line.
func printReport(w io.Writer, format string, r admin.Report) error {
	if format == "json" {
		return printJSON(w, r)
	}
	t := table{columns: []string{"CLIENT", "POLICY", "STATE", "SCOPES", "PEOPLE", "GRANTS", "OFFLINE", "SINCE", "LAST USED", "EXPIRES"}, sheet: [][]string{reportSheet}}
	for _, c := range r.Clients {
		words := func(list []string) string { return strings.Join(list, " ") }
		people, grants, offline := strconv.Itoa(c.People), strconv.Itoa(c.Grants), strconv.Itoa(c.Offline)
		t.values = append(t.values, c)
		t.rows = append(t.rows, []string{c.ClientID, strings.Join(c.Policy, ", "), string(c.State), words(c.Scopes), people, grants, offline,
			stampIf(c.CreatedAt, "-"), stampIf(c.LastUsedAt, "-"), stampIf(c.ExpiresAt, "-")})
		t.sheet = append(t.sheet, []string{
			c.ClientID, c.ClientName, c.Host, c.Domain, string(c.Registration), string(c.State), strings.Join(c.Policy, ", "), strings.Join(c.Labels, ", "),
			words(c.Scopes), words(c.Resources), people, grants, offline, stampIf(c.CreatedAt, ""), stampIf(c.FirstGrantAt, ""), stampIf(c.LastUsedAt, ""),
			stampIf(c.ExpiresAt, ""), c.DocumentSHA256, c.Revision,
		})
	}
	if err := t.print(w, format); err != nil || format != "table" {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s, %s, %s, %d offline\n", number(r.Totals.Clients, "client"), plural(r.Totals.People, "person", "people"),
		number(r.Totals.Grants, "grant"), r.Totals.Offline)
	return err
}

// plural is n with the word for one or for many.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
