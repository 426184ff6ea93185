package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
	"guestlist/store"
)

// auditHoldCommand puts, lists and drops legal holds.
func auditHoldCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use: "hold", Short: "Keep the bodies of records whatever their age: legal holds", Args: noArgs, RunE: showHelp,
		DisableFlagsInUseLine: true,
	}
	c.AddCommand(auditHoldAddCommand(server), auditHoldListCommand(server), auditHoldDropCommand(server))
	return c
}

// auditHoldAddCommand puts a hold.
func auditHoldAddCommand(server *serverFlags) *cobra.Command {
	var f admin.RecordFilter
	var reason string
	c := &cobra.Command{
		Use:   "add FILTER --reason TICKET",
		Short: "Keep the bodies of the records that fit, whatever their age",
		Long: "Keep the bodies of the records that fit, those of today and those to come, whatever\n" +
			"decision_log.retain says, until the hold is dropped. The filters are those of audit ls;\n" +
			"with several all must fit. What is erased already does not come back: audit ls -o ndjson\n" +
			"shows body_erased there.\n\n" +
			"A hold that no record fits yet is kept, and a line on standard error says so: look whether\n" +
			"all is spelt right. --person takes a username and stores the pseudonym that records show;\n" +
			"after keys destroy a person has another one, and later records want another hold.",
		Example: "  guestlist audit hold add --client https://agents.example/oauth/client.json --since 2026-11-01 --reason 'case 2026-7'\n" +
			"  guestlist audit hold add --person alice --reason 'case 2026-8'",
		Args: noArgs,

		DisableFlagsInUseLine: true,
	}
	times := recordFlags(c, &f)
	c.Flags().StringVar(&reason, "reason", "", "why, for the record and for whoever asks later")
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := errors.Join(times(&f), checkNames(f)); err != nil {
			return err
		}
		if reason = strings.TrimSpace(reason); reason == "" {
			return errors.New("--reason is missing. Remedy: name the case or the ticket")
		}
		api, err := server.client()
		if err != nil {
			return err
		}
		h, err := api.Hold(c.Context(), f, reason)
		if err != nil {
			return err
		}
		warnIfNothingFits(c, api, f, h.ID)
		return printOne(c.OutOrStdout(), *format, h, func(io.Writer) error {
			return say(c, "hold %s keeps the bodies of records with %s", h.ID, h.Filter)
		})
	}
	return c
}

// warnIfNothingFits says of a hold that no record fits yet, as with a misspelt
// name, which nobody would notice else until the bodies are gone. Where the
// log cannot be asked it says nothing: the hold stands.
func warnIfNothingFits(c *cobra.Command, api *admin.Client, f admin.RecordFilter, id string) {
	f.Limit, f.Newest = 1, true
	if page, err := api.RecordPage(c.Context(), f); err == nil && len(page.Records) == 0 && !page.More {
		fmt.Fprintf(c.ErrOrStderr(), "guestlist: no record fits this hold yet. If some should: guestlist audit hold drop %s, and find the filter with guestlist audit ls\n", id)
	}
}

// auditHoldListCommand lists the holds.
func auditHoldListCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the legal holds that there are", Args: noArgs,
		Long:    "List the legal holds that there are. Those of before are in the log: log.held and log.released.",
		Example: "  guestlist audit hold list\n  guestlist audit ls --event log.released",
	}
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		list, err := api.Holds(c.Context())
		if err != nil {
			return err
		}
		return holdTable(list).print(c.OutOrStdout(), *format)
	}
	return c
}

// holdTable shows holds one per line.
func holdTable(list []store.Hold) table {
	t := table{columns: []string{"HOLD", "SINCE", "BY", "RECORDS", "REASON"}}
	for _, h := range list {
		t.rows = append(t.rows, []string{h.ID, stampColumn(h.At), h.Actor, h.Filter.String(), h.Reason})
		t.values = append(t.values, h)
	}
	return t
}

// auditHoldDropCommand drops a hold.
func auditHoldDropCommand(server *serverFlags) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "drop ID",
		Short: "Drop a legal hold: what it held goes by its age",
		Long: "Drop a legal hold. What no other hold keeps and is past its age is erased within\n" +
			"minutes, for ever; it is done after a yes at the terminal or with --yes.\n\n" +
			"Exit code 0: dropped; 1: it could not be done; 2: not dropped, nobody said yes.",
		Example: "  guestlist audit hold drop 5a63ae1c5e58e960 --yes",
		Args:    oneArg,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		if err := confirmed(c, yes, fmt.Sprintf("Drop the hold %s, so that what it held goes by its age?", visible(args[0]))); err != nil {
			return err
		}
		h, err := api.DropHold(c.Context(), args[0])
		if err != nil {
			return err
		}
		return say(c, "dropped the hold %s on %s", h.ID, h.Filter)
	}
	return c
}
