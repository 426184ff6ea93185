# want: policy_reference:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if { some p; data.admission.policies[p].priority == 1 }
