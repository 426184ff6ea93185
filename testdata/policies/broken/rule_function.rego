# want: rule_shape:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

applies(x) := x
