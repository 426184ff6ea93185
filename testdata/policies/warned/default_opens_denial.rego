# want: default_opens:12
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

deny_document contains {"code": "x", "message": "m"} if not _known

# Whatever the document leaves out counts as known.
default _known := true

_known := false if input.published.software_id == "x"
