# METADATA
# title: Everyone, with a quarantine
# description: >-
#   Any client with a valid document may come. A host that is not known for two weeks gets
#   less: reading, no refresh token, and consent every time.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.anyone

import data.guestlist.quarantine

# METADATA
# title: Terms of admission
# description: Of young hosts, else of all others.
settings := _young if quarantine.young(14)

else := _grown

# METADATA
# title: Terms of young hosts
# description: Enough to be seen, so that the host can grow old.
_young := {
	"open": true,
	"scopes": {"ceiling": ["mcp:read"], "default": ["mcp:read"]},
	"access_token": {"ttl": "5m"},
	"consent": {"mode": "always"},
	"tags": ["quarantine"],
}

# METADATA
# title: Terms of all others
# description: Two weeks without a complaint.
_grown := {
	"open": true,
	"scopes": {"ceiling": ["mcp:read", "mcp:write"], "default": ["mcp:read"]},
	"grant_types": ["authorization_code", "refresh_token"],
	"access_token": {"ttl": "15m"},
	"refresh_token": {"issue": true, "ttl": "7d"},
	"redirect": {"relation": "same_site"},
}
