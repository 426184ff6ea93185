package main

import (
	"cmp"
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
			"the one in force is shown first, and exactly that is approved: where something else came\n" +
			"meanwhile nothing is changed. Keys that were replaced without continuity wait in the same\n" +
			"way; where nothing else waits, approving lets grants go on that such a change stopped.",
		Example: "  guestlist client list --state pending\n" +
			"  guestlist client approve https://agents.example/oauth/client.json --digest SHA256",
		Args: oneArg,
	}
	chooseFlag(c.Flags(), &digest, "digest", "approve only what waits under this digest, as client show tells it")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := server.client()
		if err != nil {
			return err
		}
		row, err := api.Show(c.Context(), args[0])
		if err != nil {
			return err
		}
		if err := showWaiting(c, row); err != nil {
			return err
		}
		if digest == "" {
			digest = cmp.Or(row.Waits, row.DocumentSHA256) // the server says that nothing waits
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

// showWaiting prints how what waits differs from what is in force.
func showWaiting(c *cobra.Command, row admin.ClientDetail) error {
	before, inForce := row.Published, row.DocumentSHA256
	if row.Pin != nil {
		before, inForce = row.Pin.Published, row.Pin.SHA256
	}
	p := &page{}
	p.field(0, "client", row.ID)
	p.field(0, "in force", inForce)
	if w := row.Pending; w != nil {
		p.field(0, "waits", fmt.Sprintf("%s since %s", w.SHA256, stamp(w.SeenAt)))
		p.field(0, "changes", listed(w.Changes))
		p.differences(1, []byte(before), []byte(w.Published))
	}
	if len(row.PendingKeys) > 0 {
		p.keys("key", row.Keys)
		p.keys("waiting key", row.PendingKeys)
	}
	if row.Pending == nil && !row.KeysChangedAt.IsZero() {
		p.field(0, "stopped", "grants made before "+stamp(row.KeysChangedAt)+", when the keys were replaced, go on again")
	}
	if row.Waits != "" {
		p.field(0, "digest", row.Waits)
	}
	_, err := c.OutOrStdout().Write(p.buf.Bytes())
	return err
}
