package admission.policies.coding_test

import data.admission.policies.coding

# METADATA
# title: Engineers
# description: They have the group.
test_allowed_when_person_is_in_engineering if {
	count(coding.deny_user) == 0 with input.user.groups as ["eng"]
	count(coding.client_ids) == 2
	coding.settings.redirect.loopback
}

# METADATA
# title: Others
# description: Whatever they ask for.
test_denied_when_person_is_not_in_engineering if {
	count(coding.deny_user) == 1 with input.user.groups as ["sales"]
}
