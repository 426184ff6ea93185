package admission.policies.partners_test

import data.admission.policies.partners

_row(owner, expires) := {"row": {"owner": owner, "expires": expires}}

_asks(ip, scopes) := {"request": {"source": {"ip": ip}}, "effective": {"scopes": scopes}}

# METADATA
# title: A complete row
# description: Owner and day are there.
test_allowed_when_the_row_is_complete if {
	count(partners.deny) == 0 with input as _row("Identity team <iam@corp.example>", "2035-12-31")
	partners.settings.refresh_token.issue
}

# METADATA
# title: A row that nobody answers for
# description: Each of the two is asked for by itself.
test_denied_when_owner_or_end_is_missing if {
	{d.code | some d in partners.deny} == {"owner_missing"} with input as _row("", "2035-12-31")
	{d.code | some d in partners.deny} == {"expiry_missing"} with input as _row("Identity team", "")
}

# METADATA
# title: Writing is for the offices
# description: Reading is for everywhere.
test_denied_when_writing_from_elsewhere if {
	count(partners.deny_user) == 1 with input as _asks("198.51.100.7", ["mcp:write"])
	count(partners.deny_user) == 0 with input as _asks("192.0.2.7", ["mcp:write"])
	count(partners.deny_user) == 0 with input as _asks("198.51.100.7", ["mcp:read"])
}

# METADATA
# title: The list as it is
# description: Every row of the list would pass.
test_every_row_has_owner_and_end if {
	every _, rows in partners.client_ids_from {
		every row in rows {
			row.owner != ""
			row.expires != ""
		}
	}
}
