# want: settings_invalid:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"document": {"max_bytes": 65537}}
