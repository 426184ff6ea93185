# METADATA
# title: Owners decide about their resources
# description: >-
#   Held in the guardrails, so that no policy can give away what an owner did not.
# authors:
#   - Identity team <iam@corp.example>
# custom:
#   review_by: "2035-12-31"
package admission.guardrails

import data.guestlist.resource

# METADATA
# title: The owner's condition
# description: Every resource of a token, every scope, the groups of the moment.
deny_user contains resource.refused(data.owners)
