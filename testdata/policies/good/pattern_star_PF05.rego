# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://a.example/*"}
