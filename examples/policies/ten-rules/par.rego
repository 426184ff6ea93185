# METADATA
# title: Writing takes a pushed request
# description: >-
#   To demand it of every request, write "require": {"par": true} in settings or in the
#   ceiling of the guardrails instead of a denial.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.par

import data.guestlist.par

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/par/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: Pushed request for writing
# description: Who reads may come by the browser.
deny_document contains par.missing if "mcp:write" in input.effective.scopes
