# METADATA
# title: A key for what matters
# description: >-
#   A client may have some scopes only if it proves with a key that it is the client.
#   Leave token_endpoint_auth_methods out of the settings: then a client that has a key
#   must use it, and one that has none may still come for the other scopes.
package guestlist.key

# METADATA
# title: One of these scopes without a key
# description: >-
#   For deny_document, as in: deny_document contains key.missing({"mcp:write"}). A
#   client that may also come without its key counts as one without. An empty set
#   protects every scope. At a refresh the scopes are those that are asked then.
missing(scopes) := {
	"code": "key_missing",
	"message": sprintf("a scope of %.200v needs a client that authenticates with a key alone", [scopes]),
	"remedy": "publish a key in the client's document (private_key_jwt), or ask for other scopes",
} if {
	not _spared(scopes)
	not _key_alone
}

# METADATA
# title: None of the scopes is granted
# description: An empty set spares nobody.
_spared(scopes) if {
	protected := {scope | some scope in scopes}
	count(protected) > 0
	granted := input.effective.scopes
	count(protected & {scope | some scope in granted}) == 0
}

# METADATA
# title: Every way to authenticate takes a key
# description: A shared secret is no key, because both sides know it.
_key_alone if {
	methods := {method | some method in input.effective.auth_methods}
	count(methods) > 0
	count(methods - {"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}) == 0
}
