# want: facts_bare:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if object.get(input.facts, "change_freze", false)
