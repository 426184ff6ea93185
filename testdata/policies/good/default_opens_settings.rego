# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"redirect": {"loopback": _local}}

default _local := false

_local if input.published.software_id == "y"
