package guestlist.key_test

import data.guestlist.key

_effective(scopes, methods) := {"effective": {"scopes": scopes, "auth_methods": methods}}

# METADATA
# title: A key opens the scope
# description: The client cannot come without it.
test_allowed_when_client_has_a_key if {
	not key.missing({"write"}) with input as _effective(["write"], ["private_key_jwt"])
}

# METADATA
# title: Other scopes need none
# description: Only what is listed is protected.
test_allowed_when_scope_is_not_protected if {
	not key.missing({"write"}) with input as _effective(["read"], ["none"])
	not key.missing({"write"}) with input as _effective([], ["none"])
}

# METADATA
# title: No key, no scope
# description: Also where the key is one way of two, and where a secret is shared.
test_denied_when_client_can_come_without_a_key if {
	key.missing({"write"}).code == "key_missing" with input as _effective(["read", "write"], ["none"])
	key.missing({"write"}) with input as _effective(["write"], ["none", "private_key_jwt"])
	key.missing({"write"}) with input as _effective(["write"], ["client_secret_basic"])
	key.missing({"write"}) with input as _effective(["write"], [])
}

# METADATA
# title: Nothing listed protects everything
# description: A set that was left empty by accident must not open anything, and neither must a string.
test_denied_when_no_scope_is_listed if {
	key.missing(set()) with input as _effective(["read"], ["none"])
	key.missing("write") with input as _effective(["read"], ["none"])
	key.missing({"write"}) with input as {}
}
