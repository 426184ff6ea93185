# want: divide by zero
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if 1 / count(input.request.prompt) == 2
