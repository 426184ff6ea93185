# METADATA
# title: Guardrails
# description: >-
#   What no policy may give away. A denial here beats every policy, and no policy
#   gives more than the ceiling.
# authors:
#   - "OWNER"
# custom:
#   review_by: "REVIEW_BY"
package admission.guardrails

import data.guestlist.freeze

# METADATA
# title: Ceiling
# description: No access token lives longer than 15 minutes, no client longer than 90 days without use.
ceiling := {
	"access_token": {"ttl": "15m"},
	"client_ttl": "90d",
}

# METADATA
# title: Privileged scopes
# description: Scopes that change who may do what.
_privileged := {"mcp:admin"}

# METADATA
# title: Privileged scopes are for administrators
# description: Whatever a policy grants, these scopes need a person of the group admins.
deny_user contains {
	"code": "privileged_scope",
	"message": sprintf("%s needs a person of the group admins", [scope]),
	"user_message": "Only administrators may let an app do this.",
} if {
	some scope in input.effective.scopes
	scope in _privileged
	not "admins" in input.user.groups
}

# METADATA
# title: Nobody new while a change freeze is on
# description: >-
#   The fact change_freeze, set by guestlist facts set. Grants that exist are
#   refreshed all the same.
deny_user contains freeze.active
