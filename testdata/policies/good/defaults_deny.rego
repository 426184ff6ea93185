# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.defaults

settings := {"client_ttl": "1d"}
