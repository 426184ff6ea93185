package admission.policies.group_test

import data.admission.policies.group

_asks(groups, scopes) := {"user": {"groups": groups}, "effective": {"scopes": scopes}}

# METADATA
# title: Engineers write, others read
# description: The group matters only for writing.
test_allowed_when_engineer_writes_or_anybody_reads if {
	count(group.deny_user) == 0 with input as _asks(["sre"], ["mcp:write"])
	count(group.deny_user) == 0 with input as _asks([], ["mcp:read"])
	group.settings.scopes.default == ["mcp:read"]
	count(group.client_ids) == 1
}

# METADATA
# title: Others do not write
# description: No group is like a wrong one.
test_denied_when_others_write if {
	count(group.deny_user) == 1 with input as _asks(["sales"], ["mcp:read", "mcp:write"])
	count(group.deny_user) == 1 with input as _asks([], ["mcp:write"])
}
