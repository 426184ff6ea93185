package guestlist.signin_test

import data.guestlist.signin

_at(phase, signed_in) := {"phase": phase, "time": "2026-11-25T12:00:00Z", "user": {"auth_time": signed_in}}

# METADATA
# title: A sign-in of a moment ago
# description: To the second of the limit.
test_allowed_when_recent if {
	not signin.stale("15m") with input as _at("user", "2026-11-25T11:45:00Z")
	not signin.stale_at_refresh("12h") with input as _at("refresh", "2026-11-25T00:00:00Z")
}

# METADATA
# title: A sign-in of this morning
# description: The person reads what to do.
test_denied_when_old if {
	denial := signin.stale("15m") with input as _at("user", "2026-11-25T11:44:59Z")
	denial.code == "signin_stale"
	denial.user_message
	signin.stale_at_refresh("12h") with input as _at("refresh", "2026-11-24T23:59:59Z")
}

# METADATA
# title: Consent and refresh are apart
# description: The limit of one says nothing about the other.
test_allowed_when_another_moment_is_meant if {
	not signin.stale("15m") with input as _at("refresh", "2026-11-25T10:00:00Z")
	not signin.stale_at_refresh("15m") with input as _at("user", "2026-11-25T10:00:00Z")
}

# METADATA
# title: No time of sign-in
# description: Whoever has none has not just signed in.
test_denied_when_the_time_is_missing if {
	signin.stale("15m") with input as _at("user", "0001-01-01T00:00:00Z")
	signin.stale("15m") with input as _at("user", "")
	signin.stale_at_refresh("12h") with input as _at("refresh", "0001-01-01T00:00:00Z")
}
