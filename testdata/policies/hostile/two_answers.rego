# want: conflict
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if _f(1) == "a"

_f(_) := x if x := input.client.host

_f(_) := x if x := input.client.path
