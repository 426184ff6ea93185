package guestlist.quarantine_test

import data.guestlist.quarantine

_seen(first) := {"time": "2026-11-25T12:00:00Z", "client": {"host": "agent.example.com", "host_first_seen": first}}

# METADATA
# title: Old hosts
# description: To the second.
test_allowed_when_host_is_old if {
	quarantine.young(7) == false with input as _seen("2026-11-18T12:00:00Z")
	not quarantine.held(7) with input as _seen("2026-11-18T12:00:00Z")
}

# METADATA
# title: Young hosts
# description: One that was never seen before is as young as can be.
test_held_when_host_is_young if {
	quarantine.young(7) == true with input as _seen("2026-11-18T12:00:01Z")
	quarantine.held(7).code == "host_quarantined" with input as _seen("2026-11-18T12:00:01Z")
	quarantine.held(7) with input as _seen("2026-11-25T12:00:00Z")
}

# METADATA
# title: Hosts of unknown age
# description: What nobody knows is young.
test_held_when_the_age_is_not_known if {
	quarantine.young(7) == true with input as _seen("0001-01-01T00:00:00Z")
	quarantine.held(7) with input as _seen("")
}
