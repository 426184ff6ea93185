# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if contains(concat(",", [sprintf("%d%s", [a, input.client.host]) | some a in numbers.range(1, 900000)]), "never")
