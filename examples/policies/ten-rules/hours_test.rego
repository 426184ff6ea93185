package admission.policies.hours_test

import data.admission.policies.hours

_at(weekday, hour) := {"zone": "UTC", "date": "2026-11-25", "weekday": weekday, "hour": hour, "minute": 0}

# METADATA
# title: Open from eight
# description: On a working day.
test_allowed_when_open if {
	count(hours.deny_user) == 0 with input.clock as _at("wednesday", 8)
	count(hours.client_ids) == 1
	hours.settings.refresh_token.issue
}

# METADATA
# title: Closed from six
# description: And at the weekend.
test_denied_when_closed if {
	count(hours.deny_user) == 1 with input.clock as _at("wednesday", 18)
	count(hours.deny_user) == 1 with input.clock as _at("saturday", 12)
}
