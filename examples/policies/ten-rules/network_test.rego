package admission.policies.network_test

import data.admission.policies.network

_from(asked, refreshed) := {"request": {"source": {"ip": asked}}, "now": {"source": {"ip": refreshed}}}

# METADATA
# title: From inside
# description: Both calls.
test_allowed_when_inside if {
	count(network.deny | network.deny_refresh) == 0 with input as _from("192.0.2.7", "2001:db8::7")
	count(network.client_ids) == 1
	network.settings.refresh_token.issue
}

# METADATA
# title: From outside
# description: Each call is looked at by its own rule.
test_denied_when_outside if {
	count(network.deny) == 1 with input as _from("198.51.100.7", "192.0.2.7")
	count(network.deny_refresh) == 1 with input as _from("192.0.2.7", "198.51.100.7")
}
