package admission.guardrails_test

import data.admission.guardrails

# METADATA
# title: Privileged scopes are for administrators
test_denied_when_others_ask_for_a_privileged_scope if {
	some denial in guardrails.deny_user with input as _asked(["mcp:read", "mcp:admin"], ["engineering"])
	denial.code == "privileged_scope"
}

# METADATA
# title: Administrators may have them
test_admitted_when_administrators_ask if {
	count(guardrails.deny_user) == 0 with input as _asked(["mcp:admin"], ["admins"])
}

# METADATA
# title: Other scopes are the policies' affair
test_admitted_when_no_scope_is_privileged if {
	count(guardrails.deny_user) == 0 with input as _asked(["mcp:read"], [])
}

# METADATA
# title: A freeze keeps new grants out
test_denied_when_a_change_freeze_is_on if {
	some denial in guardrails.deny_user with input as object.union(
		_asked(["mcp:read"], []),
		{"facts": {"change_freeze": true}},
	)
	denial.code == "change_freeze"
}

_asked(scopes, groups) := {
	"phase": "user",
	"effective": {"scopes": scopes},
	"user": {"groups": groups},
	"facts": {"change_freeze": false},
}
