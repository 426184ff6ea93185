# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if {
	some a in numbers.range(1, 5000)
	some b in numbers.range(1, 5000)
	some c in numbers.range(1, 5000)
	a * b * c == count(input.client.labels) - 1000
}
