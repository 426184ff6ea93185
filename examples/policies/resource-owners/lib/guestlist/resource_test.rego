package guestlist.resource_test

import data.guestlist.resource

_owners := {
	"https://a.example": {"groups": ["finance"], "scopes": ["read", "write"]},
	"https://b.example": {"groups": ["finance"], "scopes": ["read"]},
	"https://c.example": {"groups": ["finance"]},
	"https://d.example": {},
}

_asks(resources, scopes, groups) := {
	"effective": {"resources": resources, "scopes": scopes},
	"user": {"groups": groups},
}

# METADATA
# title: The owner agrees
# description: Group and scopes are listed.
test_allowed_when_every_owner_agrees if {
	not resource.refused(_owners) with input as _asks(["https://a.example"], ["read", "write"], ["finance"])
	not resource.refused(_owners) with input as _asks(["https://a.example", "https://b.example"], ["read"], ["finance"])
}

# METADATA
# title: One owner is enough to refuse
# description: A token for two resources has its scopes at both.
test_denied_when_one_owner_does_not_agree if {
	denial := resource.refused(_owners) with input as _asks(["https://a.example", "https://b.example"], ["write"], ["finance"])
	denial.code == "resource_refused"
	contains(denial.message, "b.example")
	not contains(denial.message, "a.example")
}

# METADATA
# title: Others are refused
# description: The person is in none of the owner's groups.
test_denied_when_person_is_in_another_group if {
	resource.refused(_owners) with input as _asks(["https://a.example"], ["read"], ["eng"])
	resource.refused(_owners) with input as _asks(["https://a.example"], ["read"], [])
}

# METADATA
# title: What is not written is not given
# description: An owner who said nothing has not agreed.
test_denied_when_the_condition_is_missing if {
	resource.refused(_owners) with input as _asks(["https://x.example"], ["read"], ["finance"])
	resource.refused(_owners) with input as _asks(["https://c.example"], ["read"], ["finance"])
	resource.refused(_owners) with input as _asks(["https://d.example"], ["read"], ["finance"])
	resource.refused(_owners) with input as _asks([], ["read"], ["finance"])
	resource.refused({}) with input as _asks(["https://a.example"], ["read"], ["finance"])
}
