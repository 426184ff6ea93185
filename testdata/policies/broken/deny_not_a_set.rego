# want: rule_shape:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny if input.client.host == "evil.example"
