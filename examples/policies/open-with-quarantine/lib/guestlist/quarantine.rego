# METADATA
# title: Quarantine of young hosts
# description: >-
#   A host is young until some days after a client of it was first admitted. It must be
#   admitted to grow old: give young hosts narrow terms, or hold back scopes, but do not
#   refuse them altogether, because a host that is never admitted stays young for ever.
package guestlist.quarantine

# METADATA
# title: The host is young
# description: >-
#   For settings, ceilings and conditions, as in: ceiling := {…} if quarantine.young(7)
#   else := {}. It is true or false and never undefined, and true where the age is not
#   known. days is a number.
default young(_) := true

# METADATA
# title: The host is old enough
# description: Days of 24 hours since any client of the host was first admitted.
young(days) := false if {
	input.client.host_first_seen > "1970"
	age := time.parse_rfc3339_ns(input.time) - time.parse_rfc3339_ns(input.client.host_first_seen)
	age >= days * time.parse_duration_ns("24h")
}

# METADATA
# title: Held back from young hosts
# description: >-
#   For deny_document, as in: deny_document contains quarantine.held(7) if "mcp:write" in
#   input.effective.scopes. When the days are over the next request has it.
held(days) := {
	"code": "host_quarantined",
	"message": sprintf("clients of %v were first admitted at %v, less than %v days ago", [
		input.client.host,
		input.client.host_first_seen,
		days,
	]),
	"remedy": "ask for less until then, or write a policy for this client",
} if {
	young(days)
}
