# want: phase:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"tags": input.effective.scopes}
