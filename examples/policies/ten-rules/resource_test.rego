package admission.policies.resource_test

import data.admission.policies.resource

_asks(id, groups) := {"effective": {"resources": [id], "scopes": ["mcp:read"]}, "user": {"groups": groups}}

# METADATA
# title: Each owner has a group
# description: What opens one resource does not open the other.
test_allowed_when_the_owner_agrees if {
	count(resource.deny_user) == 0 with input as _asks("https://mcp.corp.example", ["eng"])
	count(resource.deny_user) == 0 with input as _asks("https://ledger.corp.example", ["finance"])
	count(resource.client_ids) == 1
	resource.settings.refresh_token.issue
}

# METADATA
# title: No owner, no entry
# description: A resource that nobody speaks for is closed.
test_denied_when_no_owner_agrees if {
	count(resource.deny_user) == 1 with input as _asks("https://ledger.corp.example", ["eng"])
	count(resource.deny_user) == 1 with input as _asks("https://new.corp.example", ["eng"])
}
