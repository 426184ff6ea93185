# want: with_not_allowed:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if _x with input.client.host as "a.b"

_x if input.client.host == "a.b"
