# want: builtin_not_allowed:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if units.parse(input.client.host) > 1
