# want: rego_unsafe_var_error:8
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

_known["a"] := 1

deny contains {"code": "x", "message": "m"} if count(_knwon) == 3
