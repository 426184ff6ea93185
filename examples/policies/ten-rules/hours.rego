# METADATA
# title: Office hours
# description: >-
#   Monday to Friday from eight to six, in the zone of the server. A grant rests at night
#   and goes on in the morning.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.hours

import data.guestlist.hours

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/hours/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: Office hours
# description: In deny_user, so that tokens that are out stay valid to their end.
deny_user contains hours.closed(hours.workdays, 8, 18)
