# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p_q

client_ids := {"https://app.example.com/x"}
