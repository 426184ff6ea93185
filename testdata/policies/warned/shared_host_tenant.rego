# want: shared_host:7
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://*.sharepoint.com/client.json"}
