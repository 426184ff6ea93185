# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.corp.example.com/x"}

settings := {"network": {"allow_cidrs": ["10.0.0.0/8"]}}
