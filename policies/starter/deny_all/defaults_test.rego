package admission.defaults_test

# METADATA
# title: No policy stands below admission
# description: The starter admits nobody, so it must not bring a policy along.
test_nobody_admitted_when_nothing_is_named if {
	not data.admission.policies
	not data.admission.anyone
}
