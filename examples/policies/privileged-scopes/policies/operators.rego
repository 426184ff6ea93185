# METADATA
# title: Consoles of the operators
# description: >-
#   The policy gives widely, and the guardrails hold. Methods are left out, so that a client
#   with a key must use it.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.operators

# METADATA
# title: The clients
# description: All consoles of the house.
client_ids := {"https://*.consoles.corp.example/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:admin", "mcp:keys"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}
