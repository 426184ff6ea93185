# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_document contains {"code": "x", "message": "m"} if "refresh_token" in input.effective.grant_types
