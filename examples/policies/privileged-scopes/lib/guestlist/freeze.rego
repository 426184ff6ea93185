# METADATA
# title: Change freeze
# description: >-
#   While the fact change_freeze is true, nobody new comes in. facts.schema.json must
#   name it, as a boolean. Only false lifts the freeze: where the fact is missing or of
#   another type, the freeze is on.
package guestlist.freeze

# METADATA
# title: The freeze is on
# description: >-
#   For deny_user, as in: deny_user contains freeze.active, which stops new grants. New
#   clients are stopped before anything is fetched by: deny contains freeze.active if not
#   input.client.admitted_before. Grants that exist are refreshed all the same. (deny
#   without that condition would also make the opaque tokens of every client inactive
#   until the freeze ends.)
active := {
	"code": "change_freeze",
	"message": "a change freeze is on: the fact change_freeze is not false",
	"remedy": "wait until the freeze ends, or set the fact change_freeze to false",
} if {
	input.phase != "refresh"
	not _lifted
}

# METADATA
# title: There is no freeze
# description: Said by the fact, not by its absence.
_lifted if input.facts.change_freeze == false
