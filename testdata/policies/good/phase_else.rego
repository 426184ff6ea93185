# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_user contains {"code": "x", "message": "y"} if _f(1)

_f(g) if {
	g == 2
} else if {
	input.user.sub == "x"
}
