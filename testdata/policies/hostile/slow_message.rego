# want: did not finish
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": concat("", [input.client.host | some _ in numbers.range(1, 90000000)])} if true
