package guestlist.group_test

import data.guestlist.group

# METADATA
# title: A member may
# description: One group is enough.
test_allowed_when_person_is_in_one_group if {
	not group.missing({"eng", "sre"}) with input.user.groups as ["sales", "sre"]
}

# METADATA
# title: Others may not
# description: The code is what decisions are found by.
test_denied_when_person_is_in_another_group if {
	group.missing({"eng"}).code == "group_missing" with input.user.groups as ["sales"]
}

# METADATA
# title: No groups, no entry
# description: Neither side may be left empty by accident.
test_denied_when_either_side_is_empty if {
	group.missing({"eng"}) with input.user.groups as []
	group.missing(set()) with input.user.groups as ["eng"]
	group.missing({"eng"}) with input as {}
}
