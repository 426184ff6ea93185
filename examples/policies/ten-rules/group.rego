# METADATA
# title: Writing is for engineering
# description: >-
#   Whoever else signs in can read with this client. A person who leaves the group
#   keeps reading and is refused at the next refresh that asks to write.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.group

import data.guestlist.group

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/group/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: Group membership
# description: The groups are those of the moment, at a refresh too.
deny_user contains group.missing({"eng", "sre"}) if "mcp:write" in input.effective.scopes
