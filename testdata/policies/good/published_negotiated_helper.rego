# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_user contains {"code": "x", "message": "m"} if _keyless

_keyless if "none" in input.effective.auth_methods

warn contains {"code": "x", "message": "m"} if input.published.token_endpoint_auth_method == "none"
