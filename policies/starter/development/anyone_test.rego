package admission.anyone_test

import data.admission.anyone

# METADATA
# title: A person is always asked
# description: Anybody may come, so nobody may be let in unasked.
test_consent_asked_when_anyone_may_come if {
	anyone.settings.open == true
	anyone.settings.consent.mode == "always"
}

# METADATA
# title: Writing is never the default
# description: A client that asks for nothing may read.
test_default_is_reading_when_no_scope_is_asked if anyone.settings.scopes.default == ["mcp:read"]
