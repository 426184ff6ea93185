# want: metadata_missing:4
# METADATA
# title: Example
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}
