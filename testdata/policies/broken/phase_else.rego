# want: phase:11
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if _f(1)

_f(g) if {
	g == 2
} else if {
	input.user.sub == "x"
}
