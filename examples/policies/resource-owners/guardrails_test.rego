package admission.guardrails_test

import data.admission.guardrails

_asks(resources, scopes, groups) := {"effective": {"resources": resources, "scopes": scopes}, "user": {"groups": groups}}

# METADATA
# title: With the owner
# description: Group and scope are in owners/data.json.
test_allowed_when_the_owner_agrees if {
	count(guardrails.deny_user) == 0 with input as _asks(["https://wiki.corp.example"], ["mcp:read"], ["staff"])
}

# METADATA
# title: Without the owner
# description: One of two owners is not enough.
test_denied_when_one_owner_does_not_agree if {
	count(guardrails.deny_user) == 1 with input as _asks(["https://ledger.corp.example"], ["mcp:read"], ["staff"])
	count(guardrails.deny_user) == 1 with input as _asks(["https://wiki.corp.example", "https://ledger.corp.example"], ["mcp:read"], ["staff"])
}
