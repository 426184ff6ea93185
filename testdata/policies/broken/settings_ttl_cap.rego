# want: settings_invalid:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"access_token": {"ttl": "61m"}}
