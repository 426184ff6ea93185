# METADATA
# title: A key for what matters
# description: >-
#   A client may have some scopes only if it proves with a key that it is the client.
#   Leave token_endpoint_auth_methods out of the settings: then a client that has a key
#   must use it, and one that has none may still come for the other scopes.
package guestlist.key

# METADATA
# title: The client can come without a key
# description: >-
#   For deny_document, as in: deny_document contains key.missing if "mcp:write" in
#   input.effective.scopes. A client that may come with or without its key counts as one
#   without, and so does one with a shared secret, which both sides know. At a refresh
#   the scopes are those that are asked for then.
missing := {
	"code": "key_missing",
	"message": "this takes a client that authenticates with a key, and with nothing else",
	"remedy": "the client publishes a key in its document (private_key_jwt), or asks for other scopes",
} if {
	not _key_alone
}

# METADATA
# title: Every way to authenticate takes a key
# description: No way at all is none that does.
_key_alone if {
	methods := {method | some method in input.effective.auth_methods}
	count(methods) > 0
	count(methods - {"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}) == 0
}
