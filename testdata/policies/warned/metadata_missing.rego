# want: metadata_missing:2
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}
