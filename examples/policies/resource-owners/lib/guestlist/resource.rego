# METADATA
# title: The resource owner's condition
# description: >-
#   Who owns a resource says in data which groups may have which scopes of it:
#   {"https://mcp.corp.example": {"groups": ["finance"], "scopes": ["mcp:read"]}}.
#   A resource that is not there, and a member that is not there, let nobody through.
package guestlist.resource

# METADATA
# title: An owner does not agree
# description: >-
#   For deny_user, as in: deny_user contains resource.refused(data.owners). Every
#   resource that a token would be for must agree, to every scope that it would have.
#   Asked again at every refresh, with the groups and the data of then.
refused(owners) := {
	"code": "resource_refused",
	"message": sprintf("the owners of %.300v do not give this person the scopes %.200v", [
		[id | some id in input.effective.resources; not _agrees(owners, id)],
		input.effective.scopes,
	]),
	"remedy": "ask the owner of the resource for the group or the scope",
} if {
	not _all_agree(owners)
}

# METADATA
# title: Every owner agrees
# description: Without a resource there is no owner who could.
_all_agree(owners) if {
	count(input.effective.resources) > 0
	every id in input.effective.resources {
		_agrees(owners, id)
	}
}

# METADATA
# title: One owner agrees
# description: The person is in one of the groups, and every scope is listed.
_agrees(owners, id) if {
	condition := owners[id]
	some group in input.user.groups
	group in condition.groups
	every scope in input.effective.scopes {
		scope in condition.scopes
	}
}
