# METADATA
# title: Coding agents on the desktop
# description: >-
#   They write, for engineers only, and come back to a port on the person's own machine.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.coding

import data.guestlist.group

# METADATA
# title: The clients
# description: The first shares its host with an assistant of another policy.
client_ids := {
	"https://claude.ai/oauth/claude-code-client-metadata",
	"https://vscode.dev/oauth/client-metadata.json",
}

# METADATA
# title: Terms of admission
# description: Loopback is for these two and for no other client.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"redirect": {"loopback": true},
}

# METADATA
# title: Agents are for engineering
# description: Asked again at every refresh.
deny_user contains group.missing({"eng"})
