# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_refresh contains {"code": "x", "message": "y"} if "a" in input.grant.scopes
