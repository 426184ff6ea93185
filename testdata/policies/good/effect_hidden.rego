# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_user contains {"code": "late", "message": "after hours", "effect": "end_grant"} if input.clock.hour > 20

deny_refresh contains {"code": "left", "message": "left the company", "effect": _effect} if not "staff" in input.user.groups

_effect := "end_grant" if input.client.host == "app.example.com"
