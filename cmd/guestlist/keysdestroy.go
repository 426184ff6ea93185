package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// keysDestroyCommand destroys the key of the pseudonyms.
func keysDestroyCommand() *cobra.Command {
	server := &serverFlags{}
	var yes bool
	c := &cobra.Command{
		Use:   "destroy pseudonym",
		Short: "Destroy the key of the pseudonyms, for ever",
		Long: "Put a new key in the place of the one that makes the pseudonyms of people in decision\n" +
			"records, and overwrite the old one. The subject of an earlier record cannot be brought\n" +
			"together with a username any more, nor with a later record of the same person: audit ls\n" +
			"--person finds later records alone. Nobody is signed out, and no grant, consent or\n" +
			"throttle depends on it: they know people by their username.\n\n" +
			"A record whose body is not erased names the person in its input, and a grant that is\n" +
			"kept names them beside its id, which records have: see decision_log.retain. Copies of\n" +
			"the key directory must be destroyed too. A legal hold on a person keeps what it kept and\n" +
			"no later record: hold the person again with audit hold add --person.\n\n" +
			"A running server is asked to do it and records who asked; without one the key directory\n" +
			"is changed itself, and a server that runs with it all the same goes on with the old key\n" +
			"until it restarts. It is done after a yes at the terminal or with --yes.\n\n" +
			"Exit code 0: destroyed; 1: it could not be done; 2: not destroyed, nobody said yes.",
		Example: "  guestlist keys destroy pseudonym --config guestlist.yaml",
		Args:    oneArg,
	}
	server.register(c)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		purpose := args[0]
		if purpose != "pseudonym" {
			return fmt.Errorf("%.40q: want pseudonym. Remedy: guestlist keys rotate replaces a signing or sealing key", purpose)
		}
		if err := confirmed(c, yes, "Destroy the key of the pseudonyms, so that nobody can tell any more whom earlier records are about?"); err != nil {
			return err
		}
		why, k, err := askOrOpen(server, func(api *admin.Client) error { return api.DestroyKey(c.Context(), purpose) })
		if err != nil {
			return err
		}
		if k != nil {
			if err := k.Destroy(purpose); err != nil {
				return err
			}
			fmt.Fprintf(c.ErrOrStderr(), "guestlist: %s: the key was destroyed, and nothing was recorded\n", why)
		}
		return say(c, "pseudonym: the key is destroyed, and another one in use")
	}
	return c
}
