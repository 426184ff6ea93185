# want: facts_dynamic:8
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if {
	some name in ["change_freeze"]
	input.facts[name]
}
