# METADATA
# title: Recent sign-in
# description: >-
#   How long ago the person proved who they are (input.user.auth_time). A grant keeps the
#   sign-in it was made with, so at a refresh that time only ever grows: a limit of 15
#   minutes there would end every grant after 15 minutes. There are two rules for that
#   reason, one for the moment of consent and one for the life of the grant.
package guestlist.signin

# METADATA
# title: The sign-in is too old to agree to something
# description: >-
#   For deny_user, as in: deny_user contains signin.stale("15m"). limit is a Go duration
#   (m, h). It says nothing about a refresh. It is asked when the person agrees and once
#   more when the client redeems the code, at most lifetimes.code later.
stale(limit) := {
	"code": "signin_stale",
	"message": sprintf("the person signed in at %v, more than %v before", [input.user.auth_time, limit]),
	"user_message": "Your sign-in is too old for this. Sign out, sign in again and repeat what you did.",
	"remedy": "the person signs in again",
} if {
	input.phase != "refresh"
	not _within(limit)
}

# METADATA
# title: The sign-in is too old for another token
# description: >-
#   For deny_refresh, as in: deny_refresh contains signin.stale_at_refresh("12h"). After
#   that time no grant is refreshed any more and every person is asked again. The grant
#   itself stays until it expires. To end it, write the denial out and put this behind
#   its if: deny_refresh contains {"code": "…", "message": "…", "effect": "end_grant"} if
#   signin.stale_at_refresh("12h").
stale_at_refresh(limit) := {
	"code": "signin_stale",
	"message": sprintf("the person of this grant signed in at %v, more than %v before", [input.user.auth_time, limit]),
	"remedy": "the client starts a new authorization, in which the person signs in",
} if {
	input.phase == "refresh"
	not _within(limit)
}

# METADATA
# title: The sign-in is recent
# description: A sign-in without a time (the year 1) is not.
_within(limit) if {
	input.user.auth_time > "1970"
	age := time.parse_rfc3339_ns(input.time) - time.parse_rfc3339_ns(input.user.auth_time)
	age <= time.parse_duration_ns(limit)
}
