# METADATA
# title: Guardrails around privileged scopes
# description: >-
#   Scopes that change who may do what. Whatever policies give, these scopes take a client
#   with a key and an administrator who is in the office and has just signed in.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.guardrails

import data.guestlist.freeze
import data.guestlist.group
import data.guestlist.key
import data.guestlist.network
import data.guestlist.signin

# METADATA
# title: Ceiling
# description: No token lives longer than ten minutes.
ceiling := {"access_token": {"ttl": "10m"}, "refresh_token": {"ttl": "7d"}}

# METADATA
# title: A privileged scope is granted
# description: After negotiation, at a refresh too.
_privileged if {
	some scope in input.effective.scopes
	scope in {"mcp:admin", "mcp:keys"}
}

# METADATA
# title: The offices
# description: Where administrators sit.
_offices := {"192.0.2.0/24", "2001:db8::/32"}

# METADATA
# title: A client with a key
# description: Anybody could pretend to be a client without one.
deny_document contains key.missing if _privileged

# METADATA
# title: An administrator
# description: The group of the moment.
deny_user contains group.missing({"admins"}) if _privileged

# METADATA
# title: In the office
# description: When agreeing.
deny_user contains network.outside(_offices) if _privileged

# METADATA
# title: Just signed in
# description: When agreeing.
deny_user contains signin.stale("10m") if _privileged

# METADATA
# title: No new ones during a freeze
# description: Those that exist go on.
deny_user contains freeze.active if _privileged

# METADATA
# title: Refreshed from the office
# description: A stolen refresh token is of no use elsewhere.
deny_refresh contains network.outside_at_refresh(_offices) if _privileged

# METADATA
# title: For one working day
# description: Then the administrator signs in again, and the grant is over.
deny_refresh contains {"code": "day_over", "message": "a privileged grant lasts ten hours", "effect": "end_grant"} if {
	_privileged
	signin.stale_at_refresh("10h")
}
