# METADATA
# title: Partner clients
# description: >-
#   Clients of partners, each a row of lists/partners/data.json, added with
#   guestlist policy allow. A row narrows these terms and never widens them.
# authors:
#   - "OWNER"
# custom:
#   review_by: "REVIEW_BY"
package admission.policies.partners

# METADATA
# title: The rows
# description: Which documents are admitted, keyed by host.
client_ids_from := data.lists.partners

# METADATA
# title: Terms of admission
# description: Reading by default, writing on request. Nothing is remembered that is not named here.
settings := {
	"scopes": {
		"ceiling": ["mcp:read", "mcp:write"],
		"default": ["mcp:read"],
	},
	"tags": ["partner"],
}

# METADATA
# title: Writing is for engineering
# description: A partner's client writes only in the name of a person of the group engineering.
deny_user contains {
	"code": "write_needs_engineering",
	"message": "mcp:write was asked for by a person outside the group engineering",
	"user_message": "Only members of engineering may let this app write.",
} if {
	"mcp:write" in input.effective.scopes
	not "engineering" in input.user.groups
}
