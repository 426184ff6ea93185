# METADATA
# title: Applications of partners
# description: >-
#   Each is a row of lists/partners/data.json, with the owner who asked for it and the day
#   on which it ends. A row narrows these terms and never widens them.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.partners

import data.guestlist.network

# METADATA
# title: The rows
# description: Whom this policy admits.
client_ids_from := data.lists.partners

# METADATA
# title: Terms of admission
# description: The widest that a partner can have; most rows say less.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"access_token": {"ttl": "15m"},
	"refresh_token": {"issue": true, "ttl": "14d"},
	"redirect": {"relation": "same_site"},
}

# METADATA
# title: Nobody without an owner
# description: A row that nobody answers for admits nobody.
deny contains {"code": "owner_missing", "message": "the row names no owner", "remedy": "add owner to the row"} if {
	input.row.owner == ""
}

# METADATA
# title: Nobody without an end
# description: Partners are looked at again.
deny contains {"code": "expiry_missing", "message": "the row has no expiry", "remedy": "add expires to the row"} if {
	input.row.expires == ""
}

# METADATA
# title: Writing from the offices
# description: People who let a partner write sit in one of the offices.
deny_user contains network.outside({"192.0.2.0/24", "2001:db8::/32"}) if "mcp:write" in input.effective.scopes
