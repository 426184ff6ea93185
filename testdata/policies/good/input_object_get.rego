# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_document contains {"code": "x", "message": "y"} if object.get(input.published, "x", 0) == 1
