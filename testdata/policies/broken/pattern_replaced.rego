# want: pattern_open:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": regex.replace("x", input.client.host, "y")}
