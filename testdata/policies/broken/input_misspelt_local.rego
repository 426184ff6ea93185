# want: ref_undefined:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if { c := input.client; c.hots == "a.b" }
