# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if count({sprintf("%d/%d", [a, b]): a | some a in numbers.range(1, 9000); some b in numbers.range(1, 9000); a != count(input.client.labels)}) == 1
