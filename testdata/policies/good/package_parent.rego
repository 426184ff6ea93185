# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.q

client_ids := {"https://app.example.com/x"}
