# METADATA
# title: Example
# authors: [Team <team@corp.example>]
# custom: {review_by: "2026-11-25"}
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}
