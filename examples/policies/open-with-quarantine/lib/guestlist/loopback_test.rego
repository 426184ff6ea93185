package guestlist.loopback_test

import data.guestlist.loopback

_named := {"https://agent.example.com/client.json"}

_asks(client_id, kind) := {"phase": "document", "client_id": client_id, "request": {"redirect": {"kind": kind}}}

# METADATA
# title: Named clients may
# description: By the exact identifier.
test_allowed_when_named if {
	not loopback.unnamed(_named) with input as _asks("https://agent.example.com/client.json", "loopback")
}

# METADATA
# title: Other redirects are not meant
# description: Settings bound them.
test_allowed_when_redirect_is_elsewhere if {
	not loopback.unnamed(_named) with input as _asks("https://other.example.com/client.json", "https")
	not loopback.unnamed(_named) with input as _asks("https://other.example.com/client.json", "private_scheme")
}

# METADATA
# title: Others may not
# description: A longer path is another client.
test_denied_when_not_named if {
	denial := loopback.unnamed(_named) with input as _asks("https://agent.example.com/client.json/x", "loopback")
	denial.code == "loopback_unnamed"
}

# METADATA
# title: What is not known is loopback
# description: Neither side may be left empty by accident.
test_denied_when_either_side_is_empty if {
	loopback.unnamed(_named) with input as _asks("https://other.example.com/client.json", "")
	loopback.unnamed(set()) with input as _asks("https://agent.example.com/client.json", "loopback")
}

# METADATA
# title: Before the document there is no redirect
# description: It is classified with the document at hand.
test_silent_when_the_phase_is_url if {
	not loopback.unnamed(_named) with input as object.union(_asks("https://x.example", ""), {"phase": "url"})
}
