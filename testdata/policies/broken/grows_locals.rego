# want: value_grows:6
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": a9} if {
	a0 := input.client.host
	a1 := concat("", [a0, a0, a0])
	a2 := concat("", [a1, a1, a1])
	a3 := concat("", [a2, a2, a2])
	a4 := concat("", [a3, a3, a3])
	a5 := concat("", [a4, a4, a4])
	a6 := concat("", [a5, a5, a5])
	a7 := concat("", [a6, a6, a6])
	a8 := concat("", [a7, a7, a7])
	a9 := concat("", [a8, a8, a8])
}
