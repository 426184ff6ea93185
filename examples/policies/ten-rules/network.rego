# METADATA
# title: The network of the company
# description: >-
#   Both lines are needed: the request is kept as it was when the person agreed, so the
#   first line says nothing about where a refresh comes from.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.network

import data.guestlist.network

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/network/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: Asked from inside
# description: Refused before anything is fetched.
deny contains network.outside({"192.0.2.0/24", "2001:db8::/32"})

# METADATA
# title: Refreshed from inside
# description: The call fails, the grant lives.
deny_refresh contains network.outside_at_refresh({"192.0.2.0/24", "2001:db8::/32"})
