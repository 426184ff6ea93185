package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"guestlist/broker"
)

// clientRefreshCommand has a document fetched now.
func clientRefreshCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use:   "refresh URL",
		Short: "Fetch a client's document now, and follow what changed",
		Long: "Fetch a client's document now, however fresh the stored one is, and follow what changed\n" +
			"as settings.document.on_change says, like the next flow would. Of a pinned client the\n" +
			"host's document is compared and waits for client approve where it differs. A fetch that\n" +
			"fails leaves nothing fresh. At most once in 30 seconds for one client.\n\n" +
			"Exit code 0: unchanged, or changed and in force; 1: it could not be done, also when it\n" +
			"is too soon; 2: the document waits, was withdrawn or could not be had.",
		Example: "  guestlist client refresh https://agents.example/oauth/client.json",
		Args:    oneArg,
	}
	format := oneFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		before, err := api.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		got, err := api.Refresh(c.Context(), args[0])
		if err != nil {
			return err
		}
		after, err := api.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		err = printOne(c.OutOrStdout(), *format, got, func(w io.Writer) error {
			p := &page{}
			p.refetched(got)
			switch {
			case got.Waiting && after.Pending != nil:
				p.differences(1, []byte(before.Published), []byte(after.Pending.Published))
			case got.After != got.Before && after.DocumentSHA256 == got.After:
				p.differences(1, []byte(before.Published), []byte(after.Published))
			}
			_, err := w.Write(p.buf.Bytes())
			return err
		})
		if err == nil && (got.Waiting || got.Reason != "") {
			return &findings{}
		}
		return err
	}
	return c
}

// refetched writes what came of a fetch.
func (p *page) refetched(r broker.Refetched) {
	p.field(0, "client", r.ClientID)
	p.field(0, "result", r.Result)
	if r.Reason != "" {
		p.field(0, "reason", reasonLine(string(r.Reason)))
		p.field(0, "detail", r.Detail)
	}
	p.field(0, "was in force", r.Before)
	p.field(0, "host has now", r.After)
	if !r.FreshUntil.IsZero() {
		p.field(0, "fresh until", stamp(r.FreshUntil))
	}
	if r.Waiting {
		p.field(0, "remedy", fmt.Sprintf("guestlist client approve %s", r.ClientID))
	}
	p.field(0, "changes", listed(r.Changes))
}
