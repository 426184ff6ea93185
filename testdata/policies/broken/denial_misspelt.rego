# want: denial_invalid:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "mesage": "y"} if input.client.port == "1"
