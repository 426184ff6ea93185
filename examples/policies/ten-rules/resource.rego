# METADATA
# title: The owners of resources have a say
# description: >-
#   What each owner wants is data (owners/data.json), so that owners change it without
#   touching a policy. A resource that is not there is closed.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.resource

import data.guestlist.resource

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/resource/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: The owner's condition
# description: Every resource that a token would be for must agree.
deny_user contains resource.refused(data.owners)
