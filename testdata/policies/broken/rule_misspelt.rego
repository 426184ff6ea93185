# want: rule_unknown:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

denny contains {"code": "x", "message": "y"} if input.client.host == "evil.example"
