# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

import input.user as who

client_ids := {"https://app.example.com/oauth/client.json"}

deny_user contains {"code": "x", "message": "m"} if who.sub == ""
