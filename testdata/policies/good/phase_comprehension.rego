# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_user contains {"code": "x", "message": "y"} if { x := {g | some g in input.user.groups}; count(x) > 1 }
