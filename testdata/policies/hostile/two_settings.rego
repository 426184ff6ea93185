# want: conflict
# METADATA
# title: Hostile
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

settings := {"tags": input.client.labels}

settings := {"tags": input.client.segments}
