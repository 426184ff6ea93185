# want: rule_unknown:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

helper := true
