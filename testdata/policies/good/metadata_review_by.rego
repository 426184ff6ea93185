# METADATA
# title: Example
# authors: [Team <team@corp.example>]
# custom: {review_by: "2027-03-31"}
package admission.policies.p

client_ids := {"https://a.example/x"}
