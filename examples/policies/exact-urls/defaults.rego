# METADATA
# title: What holds for every policy
# description: >-
#   Written once, so that policies say only what is their own.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.defaults

# METADATA
# title: Terms
# description: Connections are remembered for thirty days, with tokens of ten minutes.
settings := {
	"grant_types": ["authorization_code", "refresh_token"],
	"access_token": {"ttl": "10m"},
	"refresh_token": {"issue": true, "ttl": "30d", "idle": "7d"},
}
