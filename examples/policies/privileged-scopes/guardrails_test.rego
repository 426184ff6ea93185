package admission.guardrails_test

import data.admission.guardrails

_good := {
	"phase": "user",
	"time": "2026-11-25T12:00:00Z",
	"facts": {"change_freeze": false},
	"request": {"source": {"ip": "192.0.2.7"}},
	"effective": {"scopes": ["mcp:admin"], "auth_methods": ["private_key_jwt"]},
	"user": {"groups": ["admins"], "auth_time": "2026-11-25T11:55:00Z"},
	"now": {"source": {"ip": "192.0.2.7"}},
}

_codes := {d.code | some d in ((guardrails.deny_document | guardrails.deny_user) | guardrails.deny_refresh)}

_but(change) := object.union(_good, change)

# METADATA
# title: Everything as it should be
# description: Nothing is said.
test_allowed_when_all_is_as_it_should_be if {
	_codes == set() with input as _good
	guardrails.ceiling.access_token.ttl == "10m"
}

# METADATA
# title: Other scopes
# description: The guardrails are not about them.
test_allowed_when_no_privileged_scope_is_granted if {
	_codes == set() with input as _but({"effective": {"scopes": ["mcp:read"], "auth_methods": ["none"]}, "user": {"groups": []}})
}

# METADATA
# title: One thing wrong
# description: Each is refused by itself.
test_denied_when_one_thing_is_wrong if {
	_codes == {"key_missing"} with input as _but({"effective": {"auth_methods": ["none"]}})
	_codes == {"group_missing"} with input as _but({"user": {"groups": ["eng"]}})
	_codes == {"outside_network"} with input as _but({"request": {"source": {"ip": "198.51.100.7"}}})
	_codes == {"signin_stale"} with input as _but({"user": {"auth_time": "2026-11-25T11:49:00Z"}})
	_codes == {"change_freeze"} with input as _but({"facts": {"change_freeze": true}})
}

# METADATA
# title: At a refresh
# description: Address and age count, the freeze does not.
test_denied_at_refresh_when_elsewhere_or_late if {
	_codes == set() with input as _but({"phase": "refresh", "facts": {"change_freeze": true}})
	_codes == {"outside_network"} with input as _but({"phase": "refresh", "now": {"source": {"ip": "198.51.100.7"}}})
	_codes == {"day_over"} with input as _but({"phase": "refresh", "user": {"auth_time": "2026-11-25T01:00:00Z"}})
}
