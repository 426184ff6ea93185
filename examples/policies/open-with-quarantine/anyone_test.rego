package admission.anyone_test

import data.admission.anyone

_seen(first) := {"time": "2026-11-25T12:00:00Z", "client": {"host_first_seen": first}}

# METADATA
# title: A host of yesterday
# description: It reads.
test_narrow_when_host_is_young if {
	anyone.settings.scopes.ceiling == ["mcp:read"] with input as _seen("2026-11-24T12:00:00Z")
	not "refresh_token" in object.keys(anyone.settings) with input as _seen("2026-11-25T12:00:00Z")
}

# METADATA
# title: A host of last month
# description: It may be let to write.
test_wide_when_host_is_old if {
	"mcp:write" in anyone.settings.scopes.ceiling with input as _seen("2026-10-25T12:00:00Z")
	anyone.settings.open with input as _seen("2026-10-25T12:00:00Z")
}
