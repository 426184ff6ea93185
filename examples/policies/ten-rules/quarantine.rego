# METADATA
# title: Young hosts read
# description: >-
#   A host that nobody knew a week ago is admitted, to read. It is never refused
#   altogether, because a host that is never admitted never grows old.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.quarantine

import data.guestlist.quarantine

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/quarantine/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: Writing after a week
# description: Seven days after the first client of the host was admitted.
deny_document contains quarantine.held(7) if "mcp:write" in input.effective.scopes
