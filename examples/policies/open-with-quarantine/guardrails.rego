# METADATA
# title: What nobody gives away
# description: >-
#   Where everyone may come, the guardrails are what the security team relies on: they
#   hold for admission.anyone and for every policy that is added later.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.guardrails

import data.guestlist.group
import data.guestlist.loopback

# METADATA
# title: Ceiling
# description: Whatever a policy says.
ceiling := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"]},
	"access_token": {"ttl": "15m"},
	"client_ttl": "30d",
}

# METADATA
# title: Addresses that mislead
# description: The identifier has something that the draft discourages, for instance a port of its own.
deny contains {"code": "client_id_unusual", "message": sprintf("the client identifier has %v", [input.client.warnings])} if {
	count(input.client.warnings) > 0
}

# METADATA
# title: Loopback for one agent
# description: Strangers come back to a site.
deny_document contains loopback.unnamed({"https://claude.ai/oauth/claude-code-client-metadata"})

# METADATA
# title: Writing is for engineering
# description: A stranger may read for everybody and write for engineers.
deny_user contains group.missing({"eng"}) if "mcp:write" in input.effective.scopes
