# METADATA
# title: Agents of the house
# description: >-
#   Every document below the agents' own host. What each may reach is up to the owners.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.agents

# METADATA
# title: The clients
# description: One path segment, so that nobody hides deeper down.
client_ids := {"https://agents.corp.example/clients/*"}

# METADATA
# title: Terms of admission
# description: The widest; owners say less.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
	"audiences": ["https://wiki.corp.example", "https://ledger.corp.example"],
}
