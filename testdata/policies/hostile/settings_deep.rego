# want: unknown member
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {input.client.labels[0]: {"a": {"b": {"c": {"d": 1}}}}}
