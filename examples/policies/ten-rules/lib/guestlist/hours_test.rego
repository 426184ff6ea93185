package guestlist.hours_test

import data.guestlist.hours

_at(weekday, hour) := {"zone": "UTC", "date": "2026-11-25", "weekday": weekday, "hour": hour, "minute": 5}

# METADATA
# title: The office is open
# description: From the first hour until before the last.
test_allowed_when_the_office_is_open if {
	not hours.closed(hours.workdays, 8, 18) with input.clock as _at("monday", 8)
	not hours.closed(hours.workdays, 8, 18) with input.clock as _at("friday", 17)
}

# METADATA
# title: The office is closed
# description: Before, after and at the weekend.
test_denied_when_the_office_is_closed if {
	denial := hours.closed(hours.workdays, 8, 18) with input.clock as _at("monday", 7)
	denial.code == "outside_hours"
	contains(denial.message, "monday 07:05 in UTC")
	hours.closed(hours.workdays, 8, 18) with input.clock as _at("friday", 18)
	hours.closed(hours.workdays, 8, 18) with input.clock as _at("sunday", 12)
}

# METADATA
# title: Hours that are no hours are never open
# description: A limit of another type must not compare as open.
test_denied_when_the_hours_make_no_sense if {
	hours.closed(set(), 8, 18) with input.clock as _at("monday", 12)
	hours.closed(hours.workdays, 18, 8) with input.clock as _at("monday", 12)
	hours.closed(hours.workdays, 8, "18") with input.clock as _at("monday", 12)
	hours.closed(hours.workdays, null, 18) with input.clock as _at("monday", 12)
}
