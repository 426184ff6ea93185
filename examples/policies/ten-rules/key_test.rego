package admission.policies.key_test

import data.admission.policies.key

_asks(methods, scopes) := {"effective": {"auth_methods": methods, "scopes": scopes}}

# METADATA
# title: A key writes, anybody reads
# description: The key matters only for writing.
test_allowed_when_key_writes_or_anybody_reads if {
	count(key.deny_document) == 0 with input as _asks(["private_key_jwt"], ["mcp:write"])
	count(key.deny_document) == 0 with input as _asks(["none"], ["mcp:read"])
	count(key.client_ids) == 1
}

# METADATA
# title: No key, no writing
# description: A client that can leave its key at home has none.
test_denied_when_writing_without_a_key if {
	count(key.deny_document) == 1 with input as _asks(["none"], ["mcp:write"])
	count(key.deny_document) == 1 with input as _asks(["none", "private_key_jwt"], ["mcp:write"])
}

# METADATA
# title: The strongest method counts
# description: Methods in the settings would let a client choose the weaker one.
test_methods_are_left_out_of_the_settings if {
	not "token_endpoint_auth_methods" in object.keys(key.settings)
}
