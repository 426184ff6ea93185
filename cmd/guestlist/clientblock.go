package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"guestlist/broker"
	"guestlist/server/admin"
)

// blockFlags name what is blocked: exactly one of them.
type blockFlags struct{ url, host, domain, document string }

// register adds the flags to c.
func (f *blockFlags) register(c *cobra.Command) {
	fl := c.Flags()
	chooseFlag(fl, &f.url, "url", "one client identifier")
	chooseFlag(fl, &f.host, "host", "every client identifier of a host, whatever its port")
	chooseFlag(fl, &f.domain, "domain", "every client identifier of a registrable domain")
	chooseFlag(fl, &f.document, "document", "a document by its SHA-256, wherever it is published")
}

// block returns the one that is named, and the clients it covers.
func (f *blockFlags) block(c *cobra.Command) (broker.Block, admin.ClientFilter, error) {
	var found []broker.Block
	for _, b := range []broker.Block{
		{Kind: broker.BlockURL, Value: f.url}, {Kind: broker.BlockHost, Value: f.host},
		{Kind: broker.BlockDomain, Value: f.domain}, {Kind: broker.BlockDocument, Value: f.document},
	} {
		if b.Value != "" {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		return broker.Block{}, admin.ClientFilter{}, fmt.Errorf("exactly one of --url, --host, --domain and --document is wanted. Remedy: see %s --help", c.CommandPath())
	}
	return found[0], admin.ClientFilter{URL: f.url, Host: f.host, Domain: f.domain, Document: f.document}, nil
}

// clientBlockCommand keeps clients out.
func clientBlockCommand(server *serverFlags) *cobra.Command {
	var what blockFlags
	var reason string
	var yes bool
	c := &cobra.Command{
		Use:   "block (--url U | --host H | --domain D | --document SHA256) --reason TEXT",
		Short: "Keep clients out, whatever policy says, and end those that are in",
		Long: "Keep clients out, whatever policy says, before anything is fetched for them, and end\n" +
			"those that are in with all their grants. What ended stays ended when the block is\n" +
			"taken back. How much ends is printed first, and done after a yes at the terminal or\n" +
			"with --yes.\n\n" +
			"Exit code 0: blocked; 1: it could not be done; 2: not blocked, nobody said yes.",
		Example: "  guestlist client block --host agents.example --reason 'incident 7' --yes",
		Args:    noArgs,

		DisableFlagsInUseLine: true,
	}
	what.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the record and for whoever asks later")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = func(c *cobra.Command, _ []string) error {
		b, f, err := what.block(c)
		if err != nil {
			return err
		}
		if b.Reason = strings.TrimSpace(reason); b.Reason == "" {
			return errors.New("--reason is missing. Remedy: say why, for the record and for whoever asks later")
		}
		api, err := server.client()
		if err != nil {
			return err
		}
		if err := foresee(c, api, f, "the block"); err != nil {
			return err
		}
		if err := confirmed(c, yes, fmt.Sprintf("Block the %s %s?", b.Kind, visible(b.Value))); err != nil {
			return err
		}
		n, err := api.Block(c.Context(), b)
		if err != nil {
			return err
		}
		return say(c, "blocked the %s %s: %s", b.Kind, b.Value, ended(n))
	}
	return c
}

// foresee prints how much would end.
func foresee(c *cobra.Command, api *admin.Client, f admin.ClientFilter, what string) error {
	n, err := api.Reach(c.Context(), f)
	if err != nil {
		return err
	}
	return say(c, "%s ends %s", what, amount(n))
}

// say prints one line.
func say(c *cobra.Command, format string, args ...any) error {
	_, err := fmt.Fprintln(c.OutOrStdout(), visible(fmt.Sprintf(format, args...)))
	return err
}

// ended says how much ended.
func ended(n admin.Reach) string { return amount(n) + " ended" }

// amount says how many clients and grants.
func amount(n admin.Reach) string {
	return number(n.Clients, "client") + " and " + number(n.Grants, "grant")
}

// number is a number of things.
func number(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// clientUnblockCommand takes a block back.
func clientUnblockCommand(server *serverFlags) *cobra.Command {
	var what blockFlags
	c := &cobra.Command{
		Use:   "unblock (--url U | --host H | --domain D | --document SHA256)",
		Short: "Take a block back; what it ended stays ended",
		Long: "Take a block back. Policy decides again who is let in. Clients and grants that the\n" +
			"block ended stay ended, also those that nobody asked for since.",
		Example: "  guestlist client unblock --host agents.example",
		Args:    noArgs,

		DisableFlagsInUseLine: true,
	}
	what.register(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		b, _, err := what.block(c)
		if err != nil {
			return err
		}
		api, err := server.client()
		if err != nil {
			return err
		}
		n, err := api.Unblock(c.Context(), b.Kind, b.Value)
		if err != nil {
			return err
		}
		if n != (admin.Reach{}) {
			if err := say(c, "%s that the block covered", ended(n)); err != nil {
				return err
			}
		}
		return say(c, "unblocked the %s %s", b.Kind, b.Value)
	}
	return c
}

// clientBlocksCommand lists blocks.
func clientBlocksCommand(server *serverFlags) *cobra.Command {
	c := &cobra.Command{
		Use:     "blocks",
		Short:   "List the blocks that are in force",
		Example: "  guestlist client blocks -o json",
		Args:    noArgs,
	}
	format := outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		list, err := api.Blocks(c.Context())
		if err != nil {
			return err
		}
		t := table{columns: []string{"KIND", "VALUE", "SINCE", "BY", "REASON"}}
		for _, b := range list {
			t.rows = append(t.rows, []string{string(b.Kind), b.Value, stampColumn(b.At), b.Actor, b.Reason})
			t.values = append(t.values, b)
		}
		return t.print(c.OutOrStdout(), *format)
	}
	return c
}
