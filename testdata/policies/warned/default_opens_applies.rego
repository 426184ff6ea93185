# want: default_opens:9
# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

client_ids := {"https://app.example.com/oauth/client.json"}

default applies := true

applies := false if input.client.port == "1"
