# METADATA
# title: Writing takes a recent sign-in
# description: >-
#   Asked when the person agrees. A refresh is another matter, with a limit of its own:
#   after that long the person is asked again.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.policies.signin

import data.guestlist.signin

# METADATA
# title: The client
# description: Put your own here.
client_ids := {"https://agents.example.com/signin/client.json"}

# METADATA
# title: Terms of admission
# description: Reading unless more is asked for.
settings := {
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"refresh_token": {"issue": true},
}

# METADATA
# title: Signed in a moment ago
# description: A person who sat in the morning does not agree in the afternoon.
deny_user contains signin.stale("15m") if "mcp:write" in input.effective.scopes

# METADATA
# title: Signed in today
# description: Leave it out where grants may live as long as refresh_token.ttl says.
deny_refresh contains signin.stale_at_refresh("12h")
