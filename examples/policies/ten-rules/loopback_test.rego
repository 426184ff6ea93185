package admission.policies.loopback_test

import data.admission.policies.loopback

_asks(client_id, kind) := {"phase": "document", "client_id": client_id, "request": {"redirect": {"kind": kind}}}

# METADATA
# title: The named client
# description: And every other one with an https redirect.
test_allowed_when_named_or_not_loopback if {
	count(loopback.deny_document) == 0 with input as _asks("https://agents.example.com/loopback/desktop.json", "loopback")
	count(loopback.deny_document) == 0 with input as _asks("https://agents.example.com/loopback/web.json", "https")
	count(loopback.client_ids) == 1
	loopback.settings.redirect.loopback
}

# METADATA
# title: Another client
# description: It is admitted, but not this way.
test_denied_when_another_client_listens_on_loopback if {
	count(loopback.deny_document) == 1 with input as _asks("https://agents.example.com/loopback/web.json", "loopback")
}
