# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if sort([sprintf("%s%d", [input.client.host, 9000000 - i]) | some i in numbers.range(1, 9000000)])[0] == "x"
