# METADATA
# title: Loopback for one client of two
# description: >-
#   Every client below /loopback/ may come, and one of them with a loopback redirect. In
#   the guardrails the same line holds for all policies.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.loopback

import data.guestlist.loopback

# METADATA
# title: The clients
# description: Put your own here.
client_ids := {"https://agents.example.com/loopback/*"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"redirect": {"loopback": true},
	"refresh_token": {"issue": true},
}

# METADATA
# title: Loopback for named clients
# description: By exact client identifier.
deny_document contains loopback.unnamed({"https://agents.example.com/loopback/desktop.json"})
