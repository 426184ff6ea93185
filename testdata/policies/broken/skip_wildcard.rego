# want: settings_invalid:6
package admission.policies.p

client_ids := {"https://*.corp.example.com/x"}

settings := {"consent": {"mode": "skip"}}
