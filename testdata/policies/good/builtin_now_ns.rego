# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if time.parse_rfc3339_ns(input.time) > time.add_date(0, 1, 0, 0)
