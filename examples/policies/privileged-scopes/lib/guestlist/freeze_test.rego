package guestlist.freeze_test

import data.guestlist.freeze

_asked(phase, facts) := {"phase": phase, "facts": facts}

# METADATA
# title: No freeze, no denial
# description: The fact says so.
test_allowed_when_the_fact_is_false if {
	not freeze.active with input as _asked("user", {"change_freeze": false})
}

# METADATA
# title: Nobody new
# description: In every phase but the refresh.
test_denied_when_the_fact_is_true if {
	every phase in ["url", "document", "user"] {
		freeze.active.code == "change_freeze" with input as _asked(phase, {"change_freeze": true})
	}
}

# METADATA
# title: Who is in stays in
# description: A freeze is no outage.
test_allowed_when_a_grant_is_refreshed if {
	not freeze.active with input as _asked("refresh", {"change_freeze": true})
	not freeze.active with input as _asked("refresh", {})
}

# METADATA
# title: A missing fact freezes
# description: So does one of another type.
test_denied_when_the_fact_is_missing if {
	freeze.active with input as _asked("user", {})
	freeze.active with input as _asked("user", {"change_freeze": "false"})
	freeze.active with input as _asked("user", {"change_freeze": null})
}
