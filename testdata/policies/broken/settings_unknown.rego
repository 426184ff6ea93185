# want: settings_invalid:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"scope": {"ceiling": ["a"]}}
