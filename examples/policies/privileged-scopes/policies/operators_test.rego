package admission.policies.operators_test

import data.admission.policies.operators

# METADATA
# title: Reading is the default
# description: Nobody gets a privileged scope without asking.
test_default_is_reading if {
	operators.settings.scopes.default == ["mcp:read"]
	count(operators.client_ids) == 1
}
