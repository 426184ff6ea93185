package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// clientRevokeCommand ends clients with their grants.
func clientRevokeCommand(server *serverFlags) *cobra.Command {
	var f admin.ClientFilter
	var reason string
	var yes bool
	c := &cobra.Command{
		Use:   "revoke (--url U | --host H | --domain D | --policy P | --label L)...",
		Short: "End clients and all their grants; policy may let them in again",
		Long: "End the clients that fit, with all their grants: people are asked again, and where\n" +
			"policy still lets a client in it begins another life. To keep it out, block it. With\n" +
			"several filters all must fit. How much ends is printed first, and done after a yes at\n" +
			"the terminal or with --yes.\n\n" +
			"Exit code 0: revoked; 1: it could not be done; 2: not revoked, nobody said yes.",
		Example: "  guestlist client revoke --label mcp --reason 'keys were in a log' --yes",
		Args:    noArgs,

		DisableFlagsInUseLine: true,
	}
	fl := c.Flags()
	chooseFlag(fl, &f.URL, "url", "one client identifier")
	chooseFlag(fl, &f.Host, "host", "clients whose identifier has this host")
	chooseFlag(fl, &f.Domain, "domain", "clients of this registrable domain")
	chooseFlag(fl, &f.Policy, "policy", "clients that this policy let in")
	chooseFlag(fl, &f.Label, "label", "clients with this label, one of the tags of their policy")
	fl.StringVar(&reason, "reason", "", "why, for the records; may be left out")
	fl.BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f == (admin.ClientFilter{}) {
			return fmt.Errorf("at least one of --url, --host, --domain, --policy and --label is wanted. Remedy: see %s --help", c.CommandPath())
		}
		api, err := server.client()
		if err != nil {
			return err
		}
		if err := foresee(c, api, f, "this"); err != nil {
			return err
		}
		if err := confirmed(c, yes, "Revoke them?"); err != nil {
			return err
		}
		n, err := api.Revoke(c.Context(), f, reason)
		if err != nil {
			return err
		}
		return say(c, "revoked: %s", ended(n))
	}
	return c
}
