# METADATA
# title: Well-known MCP clients
# description: >-
#   Clients of known vendors, each by the exact URL of its metadata document. The
#   rows are data (known_clients/data.json): add or remove a row there, not here.
#   A row narrows these settings, it never widens them.
# authors:
#   - Guestlist
# custom:
#   review_by: "2035-12-31"
package admission.policies.known_clients

# METADATA
# title: The rows
# description: Which documents this policy admits, keyed by host.
client_ids_from := data.known_clients.hosts

# METADATA
# title: Mode
# description: The policy is in force once this starter is chosen; off takes it out again.
mode := "enforce"

# METADATA
# title: Terms of admission
# description: >-
#   Reading by default, writing on request. Loopback redirects are on because
#   desktop clients need them; rows of web clients switch them off. A client that
#   offers a key and no key at all is admitted either way.
settings := {
	"scopes": {
		"ceiling": ["mcp:read", "mcp:write", "offline_access"],
		"default": ["mcp:read"],
	},
	"grant_types": ["authorization_code", "refresh_token"],
	"token_endpoint_auth_methods": ["none", "private_key_jwt"],
	"redirect": {"loopback": true},
	"refresh_token": {"issue": true},
	"tags": ["known-client"],
}
