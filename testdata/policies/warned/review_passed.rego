# want: review_passed:6
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
# custom: {review_by: "2026-11-24"}
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}
