# want: client_ids_twice:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

client_ids_from := data.lists.partners
