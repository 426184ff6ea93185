# METADATA
# title: Office hours
# description: >-
#   Local time in the zone of the server's configuration (input.clock).
package guestlist.hours

# METADATA
# title: Monday to Friday
# description: Public holidays are the business of a fact, not of a calendar in Rego.
workdays := {"monday", "tuesday", "wednesday", "thursday", "friday"}

# METADATA
# title: It is outside these hours
# description: >-
#   For deny_user, as in: deny_user contains hours.closed(hours.workdays, 8, 18), which
#   is open from 08:00 to 17:59. from and to are whole hours of one day, from before to;
#   anything else is never open. It holds at a refresh too, by the clock of then: the
#   grant rests and goes on in the morning. To ask at sign-in only, add: if input.phase
#   != "refresh". (In deny it would also make opaque tokens inactive overnight.)
closed(days, from, to) := {
	"code": "outside_hours",
	"message": sprintf("%v %02d:%02d in %v is outside %v to %v o'clock of %.200v", [
		input.clock.weekday,
		input.clock.hour,
		input.clock.minute,
		input.clock.zone,
		from,
		to,
		days,
	]),
	"remedy": "try again within these hours",
} if {
	not _open(days, from, to)
}

# METADATA
# title: It is within these hours
# description: The types are held, because any number is less than any string.
_open(days, from, to) if {
	is_number(from)
	is_number(to)
	input.clock.weekday in days
	input.clock.hour >= from
	input.clock.hour < to
}
