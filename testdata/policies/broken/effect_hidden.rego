# want: effect_hidden:7
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

# The hour would end grants by what a helper says.
deny_user contains {"code": "late", "message": "after hours", "effect": _effect} if _late

_effect := "end_grant" if input.client.host == "app.example.com"

_late if input.clock.hour > 20
