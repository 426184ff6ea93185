package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// versionShown is one version of a client's history for machines.
type versionShown struct {
	admin.Version
	Diff []memberDiff `json:"diff,omitempty"` // against the version before; with --diff
}

// clientHistoryCommand shows the documents of one client.
func clientHistoryCommand(server *serverFlags) *cobra.Command {
	var diff bool
	c := &cobra.Command{
		Use:   "history URL",
		Short: "Show the documents that a client had, newest first",
		Long: "Show the documents that were in force for a client, or waited for approval, newest\n" +
			"first: when each was seen, where it came from, and what kind of change it was. With\n" +
			"--diff also every member that differs from the version before. How many versions are\n" +
			"kept is bounded; beyond it the oldest go.",
		Example: "  guestlist client history https://agents.example/oauth/client.json --diff",
		Args:    oneArg,
	}
	c.Flags().BoolVar(&diff, "diff", false, "show the members that differ from the version before")
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		versions, err := api.History(c.Context(), args[0])
		if err != nil {
			return err
		}
		if diff && *format == "table" {
			return historyDiff(c.OutOrStdout(), versions)
		}
		return historyTable(versions, diff).print(c.OutOrStdout(), *format)
	}
	return c
}

// historyTable shows versions one per line.
func historyTable(versions []admin.Version, diff bool) table {
	t := table{columns: []string{"SEEN", "FROM", "DOCUMENT", "CHANGES"}}
	for i, v := range versions {
		t.rows = append(t.rows, []string{stampColumn(v.SeenAt), v.From, v.SHA256, listed(v.Changes)})
		shown := versionShown{Version: v}
		if diff && i+1 < len(versions) {
			shown.Diff = diffDocuments([]byte(versions[i+1].Published), []byte(v.Published))
		}
		t.values = append(t.values, shown)
	}
	return t
}

// historyDiff writes a page for people about every version and what differs.
func historyDiff(w io.Writer, versions []admin.Version) error {
	p := &page{}
	for i, v := range versions {
		p.line(0, "%s  %s  from %s", stamp(v.SeenAt), v.SHA256, v.From)
		p.field(1, "changes", listed(v.Changes))
		if i+1 == len(versions) {
			p.line(1, "the oldest that is kept, %d bytes", len(v.Published))
			break
		}
		p.differences(1, []byte(versions[i+1].Published), []byte(v.Published))
	}
	if _, err := w.Write(p.buf.Bytes()); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}
