# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.corp.example.com/x"}

settings := {"consent": {"mode": "skip"}}
