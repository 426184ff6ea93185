# want: conflict
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if count(_map) == 1

_map["k"] := x if some x in input.client.labels
