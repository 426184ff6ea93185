package admission.policies.known_clients_test

import data.admission.policies.known_clients

# METADATA
# title: Every row names one document
# description: A wildcard in a row would let a vendor's other applications in.
test_rows_name_single_documents_when_listed if {
	every _, rows in known_clients.client_ids_from {
		every row in rows {
			startswith(row.path, "/oauth/")
			not contains(row.path, "*")
		}
	}
}

# METADATA
# title: Web clients have no loopback redirect
# description: Only documents that register a loopback redirect URI need one.
test_loopback_off_when_client_is_a_web_application if {
	some row in known_clients.client_ids_from["chatgpt.com"]
	row.settings.redirect.loopback == false
	some claude in known_clients.client_ids_from["claude.ai"]
	claude.path == "/oauth/mcp-oauth-client-metadata"
	claude.settings.redirect.loopback == false
}

# METADATA
# title: Writing is never the default
# description: A client that asks for nothing may read.
test_default_is_reading_when_no_scope_is_asked if {
	known_clients.settings.scopes.default == ["mcp:read"]
	known_clients.mode == "enforce"
}
