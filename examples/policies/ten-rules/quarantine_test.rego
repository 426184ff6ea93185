package admission.policies.quarantine_test

import data.admission.policies.quarantine

_asks(first, scopes) := {
	"time": "2026-11-25T12:00:00Z",
	"client": {"host": "agents.example.com", "host_first_seen": first},
	"effective": {"scopes": scopes},
}

# METADATA
# title: Reading at once, writing after a week
# description: So that the host can grow old.
test_allowed_when_reading_or_old if {
	count(quarantine.deny_document) == 0 with input as _asks("2026-11-25T12:00:00Z", ["mcp:read"])
	count(quarantine.deny_document) == 0 with input as _asks("2026-11-18T12:00:00Z", ["mcp:write"])
	count(quarantine.client_ids) == 1
	quarantine.settings.refresh_token.issue
}

# METADATA
# title: No writing in the first week
# description: Whatever else the client is.
test_denied_when_a_young_host_writes if {
	count(quarantine.deny_document) == 1 with input as _asks("2026-11-20T12:00:00Z", ["mcp:write"])
}
