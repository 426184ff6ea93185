# want: only for exact URLs
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/*"}

settings := {"consent": {"mode": _mode}}

_mode := "skip" if input.client.port == ""
