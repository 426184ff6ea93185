# METADATA
# title: Development, every client
# description: >-
#   Lets in every client whose document is valid. For a machine of your own only:
#   whoever can reach the server can ask a person for consent.
# authors:
#   - Guestlist
# custom:
#   review_by: "2035-12-31"
package admission.anyone

# METADATA
# title: Terms of admission
# description: >-
#   Consent is asked every time. Loopback redirects and redirects to other sites are
#   allowed, because clients in the making use both.
settings := {
	"open": true,
	"scopes": {
		"ceiling": ["mcp:read", "mcp:write", "offline_access"],
		"default": ["mcp:read"],
	},
	"grant_types": ["authorization_code", "refresh_token"],
	"token_endpoint_auth_methods": ["none", "private_key_jwt"],
	"redirect": {"relation": "cross_site", "loopback": true},
	"consent": {"mode": "always"},
	"refresh_token": {"issue": true},
	"tags": ["development"],
}
