# want: default_opens:11
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"redirect": {"loopback": _local}}

default _local := true

_local := false if input.published.software_id == "x"
