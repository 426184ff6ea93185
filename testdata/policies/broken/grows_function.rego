# want: value_grows:8
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

_f(x) := [x, x, x, x]

deny contains {"code": "x", "message": json.marshal(_f(_f(_f(_f(_f(input.client.host))))))}
