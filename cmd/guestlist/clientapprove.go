package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"guestlist/server/admin"
)

// clientApproveCommand puts in force what waits.
func clientApproveCommand(server *serverFlags) *cobra.Command {
	var digest string
	c := &cobra.Command{
		Use:   "approve URL",
		Short: "Put in force the changed document that waits for approval",
		Long: "Put in force the changed document of a client that waits, as settings.document.on_change\n" +
			"reapprove or deny made it, or that client refresh found beside a pin. What differs from\n" +
			"the one in force is shown first, and exactly that document is approved: where another\n" +
			"came meanwhile nothing is changed.",
		Example: "  guestlist client list --state pending\n" +
			"  guestlist client approve https://agents.example/oauth/client.json --digest SHA256",
		Args: oneArg,
	}
	c.Flags().StringVar(&digest, "digest", "", "approve only the document of this SHA-256")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		row, err := api.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		shown, err := showWaiting(c, row)
		if err != nil {
			return err
		}
		if digest == "" {
			digest = shown
		}
		done, err := api.Approve(c.Context(), args[0], digest)
		if err != nil {
			return err
		}
		changes := done.Changes
		if done.Keys {
			changes = append(changes, "keys")
		}
		return say(c, "approved %s of %s: %s", done.SHA256, done.ClientID, listed(changes))
	}
	return c
}

// showWaiting prints how what waits differs from what is in force, and returns
// the digest to approve.
func showWaiting(c *cobra.Command, row admin.ClientDetail) (string, error) {
	before, inForce := row.Published, row.DocumentSHA256
	if row.Pin != nil {
		before, inForce = row.Pin.Published, row.Pin.SHA256
	}
	p, digest := &page{}, inForce
	p.field(0, "client", row.ID)
	p.field(0, "in force", inForce)
	if w := row.Pending; w != nil {
		digest = w.SHA256
		p.field(0, "waits", fmt.Sprintf("%s since %s", w.SHA256, stamp(w.SeenAt)))
		p.field(0, "changes", listed(w.Changes))
		p.differences(1, []byte(before), []byte(w.Published))
	}
	if len(row.PendingKeys) > 0 {
		p.keys("key", row.Keys)
		p.keys("waiting key", row.PendingKeys)
	}
	_, err := c.OutOrStdout().Write(p.buf.Bytes())
	return digest, err
}
