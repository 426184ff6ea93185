# want: eval_
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {}

deny contains {"code": "x", "message": "m"} if sprintf("%s", [time.parse_rfc3339_ns(input.client.path)]) == ""
