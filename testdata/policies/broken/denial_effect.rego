# want: denial_invalid:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y", "effect": "revoke"} if input.client.port == "1"
