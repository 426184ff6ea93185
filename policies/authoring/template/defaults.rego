# METADATA
# title: Defaults
# description: >-
#   Terms where a policy is silent. What is not named here either has its strict
#   value.
# authors:
#   - "OWNER"
# custom:
#   review_by: "REVIEW_BY"
package admission.defaults

# METADATA
# title: Terms
# description: A client that is not used for 30 days is forgotten, and a document that changed asks the person again.
settings := {
	"client_ttl": "30d",
	"document": {"on_change": "reconsent"},
}
