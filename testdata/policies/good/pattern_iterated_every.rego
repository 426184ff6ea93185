# METADATA
# title: Example
# authors: [Team <team@corp.example>]
package admission.policies.p

import data.lists

client_ids := {"https://app.example.com/oauth/client.json"}

deny contains {"code": "x", "message": "m"} if every p in lists.blocked {
	p != input.client.host
}
