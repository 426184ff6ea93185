# want: applies_constant:10
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

# Nothing here depends on the request.
applies if _on

_on := false
