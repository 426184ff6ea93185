# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_user contains {"code": "x", "message": "y"} if _f("eng")

_f(g) if g in input.user.groups
