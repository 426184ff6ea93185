# METADATA
# title: Loopback for named clients
# description: >-
#   A loopback redirect URI proves only that a program on the person's machine asks,
#   not which one. It is for clients that somebody has looked at.
package guestlist.loopback

# METADATA
# title: A loopback redirect of a client that is not named
# description: >-
#   For deny_document, as in: deny_document contains loopback.unnamed({"https://…"}).
#   client_ids is a set of exact client identifiers; an empty one names nobody. A
#   redirect URI of no known kind counts as loopback.
unnamed(client_ids) := {
	"code": "loopback_unnamed",
	"message": "a loopback redirect URI is for named clients only, and this one is not named",
	"remedy": "name the client in the policy that denies, or use an https redirect URI",
} if {
	input.phase != "url"
	not _elsewhere
	not input.client_id in client_ids
}

# METADATA
# title: The redirect leads elsewhere
# description: To a site, or to a program by a scheme of its own.
_elsewhere if input.request.redirect.kind in {"https", "private_scheme"}
