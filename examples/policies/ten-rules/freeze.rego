# METADATA
# title: Nobody new during a change freeze
# description: >-
#   The fact change_freeze (facts.schema.json) is set with guestlist facts set. Grants
#   that exist are refreshed all the same.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.freeze

import data.guestlist.freeze

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/freeze/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: No new client
# description: Refused before anything is fetched. Clients that are known keep their tokens.
deny contains freeze.active if not input.client.admitted_before

# METADATA
# title: No new grant
# description: Known clients ask in vain until the freeze ends.
deny_user contains freeze.active
