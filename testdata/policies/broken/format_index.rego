# want: format_open:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": sprintf("%[1]d%[1]d", [count(input.client.labels)])}
