package main

import (
	"github.com/spf13/cobra"
)

// clientPageSize is how many rows are asked for at a time.
const clientPageSize = 500

// clientCommand looks at the clients of a running server, and acts on them.
func clientCommand() *cobra.Command {
	server := &serverFlags{}
	c := askCommand("client", "Look at the clients of a running server, and act on them", server,
		clientListCommand(server), clientShowCommand(server), clientHistoryCommand(server), clientPreviewCommand(server), clientRefreshCommand(server), clientApproveCommand(server),
		clientPinCommand(server), clientUnpinCommand(server),
		clientBlockCommand(server), clientUnblockCommand(server), clientBlocksCommand(server), clientRevokeCommand(server))
	c.Long = "Look at the clients of a running server, and act on them. Every act leaves a record\n" +
		"in the decision log with the user who did it; guestlist audit ls shows them.\n\n" +
		"Exit code 0: done; 1: it could not be done; 2: there is something to see to."
	return c
}
