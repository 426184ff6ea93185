# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_document contains {"code": "x", "message": "m"} if not _known

default _known := false

_known if input.published.software_id == "y"
