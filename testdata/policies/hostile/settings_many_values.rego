# want: too large
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"tags": [x | some i in numbers.range(1, 2500); x := sprintf("%s%d", [input.client.host, i])]}
