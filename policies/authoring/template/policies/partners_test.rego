package admission.policies.partners_test

import data.admission.policies.partners

# METADATA
# title: Every row names one document
# description: A wildcard in a row would let other applications of the same host in.
test_rows_name_single_documents if {
	every rows in partners.client_ids_from {
		every row in rows {
			not contains(row.path, "*")
		}
	}
}

# METADATA
# title: Every row has an end
# description: Trust that nobody renews runs out.
test_rows_expire if {
	every rows in partners.client_ids_from {
		every row in rows {
			row.expires != ""
		}
	}
}

# METADATA
# title: Reading is for everybody
test_admitted_when_nothing_is_written if {
	count(partners.deny_user) == 0 with input as _asked(["mcp:read"], [])
}

# METADATA
# title: Writing is for engineering
test_denied_when_a_person_outside_engineering_writes if {
	some denial in partners.deny_user with input as _asked(["mcp:write"], ["sales"])
	denial.code == "write_needs_engineering"
}

# METADATA
# title: Engineering may write
test_admitted_when_engineering_writes if {
	count(partners.deny_user) == 0 with input as _asked(["mcp:write"], ["engineering"])
}

# METADATA
# title: Writing is never the default
test_default_is_reading if {
	partners.settings.scopes.default == ["mcp:read"]
}

_asked(scopes, groups) := {
	"effective": {"scopes": scopes},
	"user": {"groups": groups},
}
