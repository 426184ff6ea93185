# METADATA
# title: Group membership
# description: >-
#   The person must be in one of some groups. The groups are those of the moment:
#   who has left them is refused at the next refresh.
package guestlist.group

# METADATA
# title: The person is in none of these groups
# description: >-
#   For deny_user, as in: deny_user contains group.missing({"eng"}). groups is a set
#   of names; an empty one lets nobody through.
missing(groups) := {
	"code": "group_missing",
	"message": sprintf("the person is in none of the groups %.200v", [groups]),
	"remedy": "add the person to one of the groups, or the group to the policy",
} if {
	not _member(groups)
}

# METADATA
# title: The person is in one of these groups
# description: Holds for at least one group.
_member(groups) if {
	some group in input.user.groups
	group in groups
}
