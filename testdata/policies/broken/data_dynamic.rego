# want: data_dynamic:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if { some k; data[k].x == 1 }
