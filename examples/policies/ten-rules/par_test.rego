package admission.policies.par_test

import data.admission.policies.par

_asks(pushed, scopes) := {"request": {"par": pushed}, "effective": {"scopes": scopes}}

# METADATA
# title: Pushed to write
# description: Reading needs none.
test_allowed_when_pushed_or_reading if {
	count(par.deny_document) == 0 with input as _asks(true, ["mcp:write"])
	count(par.deny_document) == 0 with input as _asks(false, ["mcp:read"])
	count(par.client_ids) == 1
	par.settings.refresh_token.issue
}

# METADATA
# title: Not by the browser
# description: Anybody can write a link.
test_denied_when_writing_without_a_push if {
	count(par.deny_document) == 1 with input as _asks(false, ["mcp:write"])
}
