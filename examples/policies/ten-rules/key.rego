# METADATA
# title: Writing takes a key
# description: >-
#   The settings name no token_endpoint_auth_methods on purpose: a client that has a key
#   must use it then, and one without may read.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.key

import data.guestlist.key

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/key/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: Key for writing
# description: A client that could come without its key counts as one without.
deny_document contains key.missing if "mcp:write" in input.effective.scopes
