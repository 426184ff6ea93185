# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids contains "https://a.example/x"

client_ids contains "https://b.example/x"
