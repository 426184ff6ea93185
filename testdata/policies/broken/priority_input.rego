# want: not_constant:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

priority := count(input.client.labels)
