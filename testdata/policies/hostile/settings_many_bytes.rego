# want: too large
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"tags": [concat("", [input.client_id | some _ in numbers.range(1, 4000)])]}
