# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if every a in numbers.range(1, 90000) {
	every b in numbers.range(1, 90000) {
		a + b > count(input.client.labels) - 9
	}
}
