package admission.policies.assistants_test

import data.admission.policies.assistants

# METADATA
# title: No wildcard
# description: Each client is one document.
test_clients_are_named_exactly if {
	count(assistants.client_ids) == 2
	every id in assistants.client_ids {
		not contains(id, "*")
	}
}

# METADATA
# title: They read
# description: Nothing else is in the ceiling.
test_reading_is_all_there_is if assistants.settings.scopes.ceiling == ["mcp:read"]
