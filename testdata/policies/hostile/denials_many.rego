# want: at most 64
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": sprintf("c%d", [i]), "message": input.client.host} if some i in numbers.range(1, 65)
