package admission.policies.freeze_test

import data.admission.policies.freeze

_asks(frozen, known) := {"phase": "user", "facts": {"change_freeze": frozen}, "client": {"admitted_before": known}}

# METADATA
# title: Business as usual
# description: The fact says that there is no freeze.
test_allowed_when_there_is_no_freeze if {
	count(freeze.deny | freeze.deny_user) == 0 with input as _asks(false, false)
	count(freeze.client_ids) == 1
	freeze.settings.refresh_token.issue
}

# METADATA
# title: Nobody new
# description: A known client is still known, and gets no new grant.
test_denied_when_the_freeze_is_on if {
	count(freeze.deny) == 1 with input as _asks(true, false)
	count(freeze.deny) == 0 with input as _asks(true, true)
	count(freeze.deny_user) == 1 with input as _asks(true, true)
}
