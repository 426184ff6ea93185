# want: rego_parse_error:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny[x] { x := 1 }
