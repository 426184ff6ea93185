# METADATA
# title: Pushed authorization requests
# description: >-
#   The request must have come by the pushed request endpoint (RFC 9126). To demand it
#   always, write require.par in settings or in the guardrails' ceiling: it is met with
#   everybody else's terms and refuses with a reason of its own. These rules are for
#   demands with a condition.
package guestlist.par

# METADATA
# title: The request was not pushed
# description: >-
#   For deny or deny_document, as in: deny_document contains par.missing if "mcp:write"
#   in input.effective.scopes. How the request came is kept with the grant, so that a
#   refresh meets the same answer.
missing := {
	"code": "par_missing",
	"message": "the authorization request was not pushed (RFC 9126)",
	"remedy": "the client sends its request to the pushed authorization request endpoint first",
} if {
	not input.request.par
}
