# want: settings_invalid:6
package admission.policies.p

client_ids := {"https://*.corp.example.com/x"}

settings := {"network": {"allow_cidrs": ["10.0.0.0/8"]}}
