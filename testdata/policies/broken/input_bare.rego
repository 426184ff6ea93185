# want: input_bare:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if { x := input; x.client.host == "a.b" }
