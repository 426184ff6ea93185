# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

_known["a"] := 1

_known.b := 2

deny contains {"code": "x", "message": "m"} if count(_known) == 3
