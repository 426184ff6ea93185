# want: phase:lib/hosts.rego:7
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if data.lib.hosts.in_group("eng")
