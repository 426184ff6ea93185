# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

import input.facts

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "y"} if facts.change_freeze
