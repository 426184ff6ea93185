# want: phase:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

warn contains {"code": "x", "message": "y"} if input.now.source.ip == "x"
