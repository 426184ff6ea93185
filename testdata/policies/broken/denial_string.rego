# want: denial_invalid:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains "no" if input.client.port == "1"
