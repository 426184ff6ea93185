package admission.policies.signin_test

import data.admission.policies.signin

_at(phase, signed_in, scopes) := {
	"phase": phase,
	"time": "2026-11-25T12:00:00Z",
	"user": {"auth_time": signed_in},
	"effective": {"scopes": scopes},
}

# METADATA
# title: Just signed in
# description: Or only reading.
test_allowed_when_recent_or_reading if {
	count(signin.deny_user) == 0 with input as _at("user", "2026-11-25T11:50:00Z", ["mcp:write"])
	count(signin.deny_user) == 0 with input as _at("user", "2026-11-25T08:00:00Z", ["mcp:read"])
	count(signin.client_ids) == 1
	signin.settings.refresh_token.issue
}

# METADATA
# title: Signed in this morning
# description: Too long ago to agree to writing.
test_denied_when_the_signin_is_old if {
	count(signin.deny_user) == 1 with input as _at("user", "2026-11-25T08:00:00Z", ["mcp:write"])
}

# METADATA
# title: A refresh has the longer limit
# description: The minutes of the consent do not end it.
test_refresh_allowed_until_the_day_is_over if {
	count(signin.deny_user | signin.deny_refresh) == 0 with input as _at("refresh", "2026-11-25T08:00:00Z", ["mcp:write"])
	count(signin.deny_refresh) == 1 with input as _at("refresh", "2026-11-24T20:00:00Z", ["mcp:write"])
}
