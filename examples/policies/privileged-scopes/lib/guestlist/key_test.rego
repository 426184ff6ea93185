package guestlist.key_test

import data.guestlist.key

# METADATA
# title: A key
# description: The client cannot come without it.
test_allowed_when_client_has_a_key if {
	not key.missing with input.effective.auth_methods as ["private_key_jwt"]
}

# METADATA
# title: No key
# description: Also where the key is one way of two, and where a secret is shared.
test_denied_when_client_can_come_without_a_key if {
	key.missing.code == "key_missing" with input.effective.auth_methods as ["none"]
	key.missing with input.effective.auth_methods as ["none", "private_key_jwt"]
	key.missing with input.effective.auth_methods as ["client_secret_basic"]
}

# METADATA
# title: Nothing known
# description: A client without any method proves nothing.
test_denied_when_no_method_is_known if {
	key.missing with input.effective.auth_methods as []
	key.missing with input as {}
}
