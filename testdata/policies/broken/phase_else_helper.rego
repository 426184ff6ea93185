# want: phase:12
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if _f(1)

_f(g) if {
	g == 2
} else if _eng

_eng if "eng" in input.user.groups
