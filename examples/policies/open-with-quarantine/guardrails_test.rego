package admission.guardrails_test

import data.admission.guardrails

_asks(kind, scopes, groups) := {
	"phase": "user",
	"client_id": "https://stranger.example/client.json",
	"client": {"warnings": []},
	"request": {"redirect": {"kind": kind}},
	"effective": {"scopes": scopes},
	"user": {"groups": groups},
}

_codes := {d.code | some d in ((guardrails.deny | guardrails.deny_document) | guardrails.deny_user)}

# METADATA
# title: A stranger that reads
# description: For anybody.
test_allowed_when_a_stranger_reads if {
	_codes == set() with input as _asks("https", ["mcp:read"], [])
	guardrails.ceiling.client_ttl == "30d"
}

# METADATA
# title: A stranger that writes
# description: For engineers.
test_denied_when_a_stranger_writes_for_others if {
	_codes == set() with input as _asks("https", ["mcp:write"], ["eng"])
	_codes == {"group_missing"} with input as _asks("https", ["mcp:write"], [])
}

# METADATA
# title: A stranger on loopback
# description: Nobody knows which program that is.
test_denied_when_a_stranger_listens_on_loopback if {
	_codes == {"loopback_unnamed"} with input as _asks("loopback", ["mcp:read"], [])
}

# METADATA
# title: An unusual address
# description: It is refused before anything is fetched.
test_denied_when_the_address_is_unusual if {
	count(guardrails.deny) == 1 with input.client.warnings as ["port"]
}
